"""Whose a complaint by mail is, where answers to him go, and that nobody becomes the customer by being named in a text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from answering_house import AnsweringHouse
from factories import submission
from fakes import FakeChampion, FakeClassifier

from classifiers.fields import FieldFinder
from models.answer import Way
from models.submission import Channel

SUN = {"From": "sun2 <sun2@qq.example>"}
WANG = {"From": "王经理 <wang@corp.example>"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnsweringHouse]:
    """On each kind of store in turn, with the finder of names and addresses that ships."""
    settings = {} if request.param == "sqlite" else {"store_url": request.getfixturevalue("postgres_url")}
    made = AnsweringHouse(tmp_path, FakeChampion(FakeClassifier(fields=FieldFinder())), mail_phone="400-820-0000", **settings)
    yield made
    made.app.close()


def customer(house: AnsweringHouse, number: str) -> dict[str, str]:
    """Who complains, as the API says."""
    whole = house.app.records.whole(number)
    assert whole is not None
    return dict(whole["customer"])


def staff_answers(house: AnsweringHouse, number: str, text: str = "经查属实，赔偿方案保密。", key: str = "k") -> list[str]:
    """Staff writes; to whom a letter went."""
    before = len(house.mailer.taken)
    house.app.replies.write(number, text, by="王芳", key=key.ljust(20, "k"))
    house.work()
    return [to for letter in house.mailer.taken[before:] for to in letter.rcpt_tos]


def senders(house: AnsweringHouse, number: str) -> list[tuple[str, bool]]:
    """The address of each mail, and whether it is another sender's."""
    whole = house.app.records.whole(number)
    assert whole is not None
    return [(one["sender"]["address"], one["sender"]["another"]) for one in whole["conversation"]]


@pytest.mark.parametrize(
    ("headers", "to"),
    [
        (SUN, ["sun2@qq.example"]),
        ({"From": "sun2 <sun2@qq.example>", "Reply_To": "sun.home@qq.example"}, ["sun.home@qq.example"]),
        # The sender is lost.
        ({"From": ""}, []),
    ],
)
def test_whoever_is_named_in_a_mail_is_not_its_sender(house: AnsweringHouse, headers: dict[str, str], to: list[str]) -> None:
    body = "产品质量：销售经理 wang@corp.example 态度恶劣，我给 tousu@jiesu.example 写过三次信，他的手机 13900001111"
    number = house.mail(body, "投诉", **headers).number
    assert [customer(house, number).get("email")] == (to or [None])
    assert "phone" not in customer(house, number)
    # The accused writes with the number, which he has heard of.
    fresh = house.mail("合同问题，进展如何？", f"关于 {number}", **WANG).number
    assert house.story(fresh).complaint.number == fresh
    assert house.story(fresh).messages[0].parsed["claims"] == {"number": number, "why": "other_sender"}
    assert staff_answers(house, number) == to


def test_what_is_ours_is_never_the_customers(house: AnsweringHouse) -> None:
    raw = json.dumps({"id": "c1", "text": "价格问题，我的邮箱是 kefu@jiesu.example，电话 400 820 0000"}).encode()
    number = house.app.accept(submission(raw, channel=Channel.CHAT, key="t:c1", conversation="t", at=house.clock.now())).number
    house.clock.move(seconds=30)
    house.work()
    assert customer(house, number) == {}
    own = house.mail("合同问题", From="客服 <kefu@jiesu.example>").number
    assert "email" not in customer(house, own)


@pytest.mark.parametrize(
    ("lines", "email"),
    [
        (["价格问题，销售 wang@corp.example 骗人"], None),
        (["价格问题，销售 wang@corp.example 骗人", "我的邮箱 sun2@qq.example"], "sun2@qq.example"),
    ],
)
def test_an_address_in_a_chat_is_the_customers_where_he_says_so(house: AnsweringHouse, lines: list[str], email: str | None) -> None:
    for n, text in enumerate(lines):
        raw = json.dumps({"id": f"c{n}", "text": text}).encode()
        number = house.app.accept(submission(raw, channel=Channel.CHAT, key=f"t:c{n}", conversation="t", at=house.clock.now())).number
    house.clock.move(seconds=60)
    house.work()
    assert customer(house, number).get("email") == email
    fresh = house.mail("合同问题，进展如何？", f"关于 {number}", **WANG).number
    assert house.story(fresh).complaint.number == fresh


def test_what_the_channel_knows_of_a_visitor_lets_his_mail_in(house: AnsweringHouse) -> None:
    raw = json.dumps({"id": "c1", "text": "价格问题"}).encode()
    made = submission(raw, channel=Channel.CHAT, key="t:c1", conversation="t", at=house.clock.now())
    made.envelope["customer"] = {"email": "sun2@qq.example"}  # type: ignore[index]
    number = house.app.accept(made).number
    house.clock.move(seconds=30)
    house.work()
    assert customer(house, number) == {"email": "sun2@qq.example"}
    fresh = house.mail("照片见附件", f"关于 {number}", **SUN).number
    assert house.story(fresh).complaint.number == number


def test_whoever_shows_the_customers_token_is_never_answered_for_him(house: AnsweringHouse) -> None:
    number = house.mail("合同问题：定金不退，我叫孙小北", "投诉", **SUN).number
    subject = house.mailer.taken[-1].message["Subject"]
    body = "我是销售王志强，我的手机13900001111，事情不是这样"
    fresh = house.mail(body, f"Re: {subject}", Reply_To="wang@home.example", **WANG).number
    assert house.story(fresh).complaint.number == number
    # Nothing is told to him, and he is not the customer.
    assert len(house.mailer.taken) == 1
    assert customer(house, number) == {"name": "孙小北", "email": "sun2@qq.example"}
    assert staff_answers(house, number) == ["sun2@qq.example"]
    assert senders(house, number) == [("sun2@qq.example", False), ("wang@corp.example", True)]
    # The customer himself, from whatever he spells his box like; and a Reply-To that he did not begin with draws nothing away.
    house.mail("补充", f"Re: {subject}", From="SUN2+x@QQ.example", Reply_To="thief@else.example")
    assert senders(house, number)[-1] == ("SUN2+x@QQ.example", False)
    assert staff_answers(house, number, key="m") == ["SUN2+x@QQ.example"]
    # Who has shown it once may go on, as before, and still is no customer.
    sent = house.mailer.taken[0].message["Message-ID"]
    house.mail("再说一句", "Re: 投诉", In_Reply_To=sent, **WANG)
    assert senders(house, number)[-1] == ("wang@corp.example", True)
    assert staff_answers(house, number, key="n") == ["SUN2+x@QQ.example"]


def test_the_box_to_which_he_wanted_the_answer_is_his_too(house: AnsweringHouse) -> None:
    number = house.mail("合同问题", "投诉", Reply_To="sun.home@qq.example", **SUN).number
    assert house.mailer.taken[-1].rcpt_tos == ["sun.home@qq.example"]
    sent = house.mailer.taken[-1].message["Message-ID"]
    house.mail("补充", "Re: 投诉", In_Reply_To=sent, From="sun.home@qq.example")
    assert senders(house, number) == [("sun2@qq.example", False), ("sun.home@qq.example", False)]
    assert staff_answers(house, number) == ["sun.home@qq.example"]


def test_who_wants_the_answer_at_our_own_address_gets_it_at_his(house: AnsweringHouse) -> None:
    number = house.mail("合同问题", "投诉", Reply_To="tousu@jiesu.example", **SUN).number
    assert house.mailer.taken[-1].rcpt_tos == ["sun2@qq.example"]
    # And whoever forges our address does not become him.
    fresh = house.mail("补充", f"关于 {number}", From="tousu@jiesu.example").number
    assert house.story(fresh).complaint.number == fresh


@pytest.mark.parametrize("spelt", ["回复：转发：{}", "Re: Fwd: {}", "答复: 回复: FW: {}", "回复：转发：回复：{}"])
def test_a_reply_to_a_forward_joins_for_the_customer_alone(house: AnsweringHouse, spelt: str) -> None:
    number = house.mail("合同问题：定金不退", "投诉", **SUN).number
    subject = spelt.format(house.mailer.taken[-1].message["Subject"])
    # The customer forwarded our acknowledgement to him: he was told by the customer, not by us.
    fresh = house.mail("这是误会", subject, **WANG).number
    assert house.story(fresh).complaint.number == fresh
    assert house.story(fresh).messages[0].parsed["claims"] == {"number": number, "why": "forward_reply"}
    again = house.mail("补充", subject, **SUN).number
    assert house.story(again).messages[-1].parsed["joined"]["by"] == "number"
    assert house.story(again).complaint.number == number


def test_a_complaint_by_phone_is_answered_as_before(house: AnsweringHouse) -> None:
    call: dict[str, Any] = {
        "turns": [
            {"role": "agent", "text": "请问您的邮箱是？", "start": 0},
            {"role": "customer", "text": "价格问题，我的邮箱是 sun2@qq.example", "start": 1},
        ]
    }
    made = submission(json.dumps(call).encode(), channel=Channel.PHONE, key="call", at=house.clock.now())
    number = house.app.accept(made).number
    house.clock.move(seconds=30)
    house.work()
    assert customer(house, number)["email"] == "sun2@qq.example"
    assert staff_answers(house, number) == ["sun2@qq.example"]
    (answer,) = house.answers(number)
    assert answer.way is Way.EMAIL
    subject = house.mailer.taken[-1].message["Subject"]
    house.mail("照片见附件", f"Re: {subject}", **WANG)
    assert customer(house, number)["email"] == "sun2@qq.example"
    assert staff_answers(house, number, key="m") == ["sun2@qq.example"]


@pytest.mark.parametrize("headers", [{"List_Id": "<owners.example>"}, {"Precedence": "list"}])
def test_who_writes_through_a_mailing_list_is_called_no_machine(house: AnsweringHouse, headers: dict[str, str]) -> None:
    number = house.mail("合同问题", "投诉", Reply_To="owners@list.example", **SUN, **headers).number
    assert house.mailer.taken == []
    assert (house.answers(number)[0].reason or "").startswith("mailing_list: 经邮件列表发来，不自动答复 / ")
    body = house.story(number).assignments[-1].body
    assert (body["rule"], body["rule_reason"]) == ("mailing_list", "经邮件列表发来，由客服确认是否投诉")
    # What staff writes to him is not for the list.
    assert staff_answers(house, number) == ["sun2@qq.example"]
    # A machine stays one.
    machine = house.mail("合同问题", "投诉", Auto_Submitted="auto-generated", **SUN).number
    assert house.story(machine).assignments[-1].body["rule"] == "machine_mail"


FORM = {"From": "网站表单 <form@shop.example>", "Reply_To": "lin2@mail.example"}


@pytest.mark.parametrize("mark", [{"Auto_Submitted": "auto-generated"}, {"Precedence": "bulk"}, {"X_Auto_Response_Suppress": "All"}])
@pytest.mark.parametrize("sender", ["form@shop.example", "no-reply@shop.example"])
def test_who_fills_in_a_web_form_gets_staffs_answer(house: AnsweringHouse, mark: dict[str, str], sender: str) -> None:
    headers = FORM | {"From": f"网站表单 <{sender}>"}
    number = house.mail("合同问题：定金不退", "网站投诉", **headers, **mark).number
    # Nothing automatic answers a machine.
    assert house.mailer.taken == []
    assert customer(house, number) == {"email": "lin2@mail.example"}
    assert staff_answers(house, number) == ["lin2@mail.example"]
    # He answers himself, and so belongs to it.
    sent = house.mailer.taken[-1].message["Message-ID"]
    house.mail("补充", "Re: 网站投诉", From="lin2@mail.example", In_Reply_To=sent)
    assert senders(house, number)[-1] == ("lin2@mail.example", False)
    assert staff_answers(house, number, key="m") == ["lin2@mail.example"]


@pytest.mark.parametrize("later", [{}, {"Auto_Submitted": "auto-generated"}])
def test_what_came_later_from_the_same_form_is_answered_there_too(house: AnsweringHouse, later: dict[str, str]) -> None:
    number = house.mail("合同问题：定金不退", "网站投诉", Auto_Submitted="auto-generated", **FORM).number
    house.mail("还没有答复", f"关于 {number}", **FORM, **later)
    assert len(house.story(number).messages) == 2
    assert staff_answers(house, number) == ["lin2@mail.example"]


def test_a_forms_box_that_nobody_reads_needs_a_reply_to(house: AnsweringHouse) -> None:
    number = house.mail("合同问题", "投诉", From="no-reply@shop.example", Reply_To="noreply@shop.example").number
    assert staff_answers(house, number) == []
    # Nothing automatic goes to whom such a box names; a person may write there.
    named = house.mail("合同问题", "投诉", From="no-reply@shop.example", Reply_To="lin2@mail.example").number
    assert house.mailer.taken == []
    assert staff_answers(house, named) == ["lin2@mail.example"]


LISTS = {
    "google": {"List_Id": "<group.lists.example>", "List_Post": "<https://x.example/post>, <mailto:Group@lists.example?subject=x>"},
    "mailman": {"List_Id": "业主群 <group.lists.example>"},
    "id_is_address": {"List_Id": "<group@lists.example>", "List_Post": "NO"},
}


def listed(name: str, reply_to: str, kind: str) -> dict[str, str]:
    """The headers of a mail whose list has put itself into From."""
    return {"From": f"{name} via 业主群 <group@lists.example>", "Reply_To": reply_to, "Precedence": "list", **LISTS[kind]}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_that_puts_itself_into_from_is_nobodys_box(house: AnsweringHouse, kind: str) -> None:
    number = house.mail("合同问题：定金不退", "投诉", **listed("林树", "Group@lists.example, lin@mail.example", kind)).number
    assert house.mailer.taken == []
    assert customer(house, number)["email"] == "lin@mail.example"
    # Another member, by the same list.
    for reply_to in ("wang@mail.example", "group@lists.example", ""):
        fresh = house.mail("合同问题，进展如何？", f"关于 {number}", **listed("王强", reply_to, kind)).number
        assert house.story(fresh).messages[0].parsed["claims"] == {"number": number, "why": "other_sender"}
    # The list itself.
    assert house.story(house.mail("合同问题", f"关于 {number}", From="group@lists.example").number).complaint.number != number
    # He himself, by the list and directly.
    for headers in (listed("林树", "lin@mail.example", kind), {"From": "lin@mail.example"}):
        fresh = house.mail("补充", f"关于 {number}", **headers).number
        assert house.story(fresh).complaint.number == number
    whole = house.app.records.whole(number)
    assert whole is not None
    assert [one["sender"]["another"] for one in whole["conversation"]] == [False] * 3
    assert staff_answers(house, number) == ["lin@mail.example"]


@pytest.mark.parametrize("reply_to", ["group@lists.example", "", "tousu@jiesu.example"])
def test_whom_a_list_does_not_name_nobody_writes_to(house: AnsweringHouse, reply_to: str) -> None:
    number = house.mail("合同问题：定金不退", "投诉", **listed("林树", reply_to, "google")).number
    assert "email" not in customer(house, number)
    assert staff_answers(house, number) == []
    for sender in ("group@lists.example", "tousu@jiesu.example"):
        fresh = house.mail("补充", f"关于 {number}", From=sender).number
        assert house.story(fresh).complaint.number == fresh
