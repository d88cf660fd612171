"""The review queue and the complaint page as plain pages and forms: what is shown, what a decision does, and taking it back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from console_house import Visitor, complain, person
from factories import mail, submission
from fakes import eventually
from running import RunningGateway

from gateway.reply_token import ReplyTokens
from models.correction import UNDONE
from models.staff import Role
from models.verdict import ComplaintClass

HOSTILE = (
    "<script>window.hit=1</script><img src=x onerror=window.hit=1> {{7*7}} \u202egnp.exe\u2066 \u200b\x0b "
    "</textarea></mark><a href='javascript:window.hit=1'>x</a> \"'`&amp; 你好"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("desk"), drop_enabled="false") as running:
        yield running


@pytest.fixture(scope="module")
def agent(gateway: RunningGateway) -> Visitor:
    return person(gateway, "王静", Role.AGENT)


@pytest.fixture(scope="module")
def lead(gateway: RunningGateway) -> Visitor:
    return person(gateway, "诸葛亮", Role.LEAD)


def listed(visitor: Visitor, query: str = "") -> list[str]:
    return re.findall(r'class="row"[^>]*data-number="([^"]+)"', visitor.get(f"/console{query}").text)


def corrections(gateway: RunningGateway, number: str) -> list[tuple[str, str, str, str]]:
    story = gateway.app.desk.story(number)
    assert story
    return [(one.by, one.source.value, one.should_be.value, one.note) for one in story.corrections]


def test_a_decision_takes_it_out_of_the_queue_and_tells_the_tracker(gateway: RunningGateway, agent: Visitor) -> None:
    number = complain(gateway, "你好，想问一下收费的事")
    assert number in listed(agent)
    done = agent.decide(number, "price", note="问的是收费", back="/console?channel=email")
    assert (done.status, done.headers["location"]) == (303, "/console?channel=email")
    page = agent.get("/console")
    assert f"{number} 已判为“价格问题”，转销售部。" in page.text
    assert f"撤销 {number}" in page.text
    # It is said once.
    assert "已判为" not in agent.get("/console").text
    assert number not in listed(agent)
    assert corrections(gateway, number) == [("王静", "console", "price", "问的是收费")]
    story = gateway.app.desk.story(number)
    assert story
    rerouted = story.events[-1].id
    eventually(lambda: [sent for sent in gateway.sender.accepted if json.loads(sent.body)["data"]["event_id"] == rerouted])
    assert json.loads(story.events[-1].payload)["type"] == "complaint.rerouted"


def test_taking_a_decision_back(gateway: RunningGateway, agent: Visitor) -> None:
    first, second = complain(gateway, "你好，一"), complain(gateway, "你好，二")
    before = [one.rank for one in gateway.app.desk.page(_everything(), 100).listed if one.number in (first, second)]
    agent.decide(first, "price")
    agent.decide(second, "contract")
    assert not {first, second} & set(listed(agent))
    csrf = agent.csrf()
    agent.post("/console/undo", {"csrf": csrf})
    assert f"已撤销 {second} 的判定，恢复为“其他”。" in agent.get("/console").text
    agent.post("/console/undo", {"csrf": csrf})
    assert {first, second} <= set(listed(agent))
    after = [one.rank for one in gateway.app.desk.page(_everything(), 100).listed if one.number in (first, second)]
    assert after == before
    assert [(should_be, note) for _, _, should_be, note in corrections(gateway, first)] == [("price", ""), ("other", UNDONE)]
    # The model's own word is nothing to learn from, nor evidence.
    with gateway.app.store.read() as conn:
        from gateway.store import corrections as kept
        from gateway.store import examples

        assert not {first, second} & {one.number for one in kept.evidence(conn, "fake-1", 1000)}
        assert not {first, second} & {one.number for one in examples.usable(conn)}
    agent.decide(first, "contract")
    story = gateway.app.desk.story(first)
    assert story
    assert story.complaint.klass is ComplaintClass.CONTRACT
    assert story.disagreeing == []


def test_only_ones_own_decision_of_this_session_can_be_taken_back(gateway: RunningGateway, lead: Visitor) -> None:
    fresh = person(gateway, "张飞", Role.AGENT)
    nothing = fresh.post("/console/undo", {"csrf": fresh.csrf()})
    assert nothing.status == 409
    assert "没有可以撤销的判定" in nothing.text
    number = complain(gateway, "你好，三")
    fresh.decide(number, "price")
    lead.decide(number, "contract")
    # Somebody else has decided since.
    assert fresh.post("/console/undo", {"csrf": fresh.csrf()}).status == 409
    again = Visitor(gateway)
    again.sign_in("张飞")
    assert again.post("/console/undo", {"csrf": again.csrf()}).status == 409
    assert [one[2] for one in corrections(gateway, number)] == ["price", "contract"]


def test_two_who_disagree_are_shown_to_a_lead_and_the_second_is_warned(gateway: RunningGateway, agent: Visitor, lead: Visitor) -> None:
    number = complain(gateway, "你好，四")
    agent.decide(number, "price", seen="0")
    warned = lead.decide(number, "contract", seen="0")
    assert warned.status == 409
    assert "王静 刚刚把这件投诉判为“价格问题”" in warned.text
    assert len(corrections(gateway, number)) == 1
    assert lead.decide(number, "contract", seen="1").status == 303
    assert "几个人的判定不一致" in lead.get(f"/console/complaints/{number}").text
    assert "几个人的判定不一致" not in agent.get(f"/console/complaints/{number}").text
    assert number in lead.get("/console/examples").text
    lead.post("/console/undo", {"csrf": lead.csrf()})
    assert "几个人的判定不一致" not in lead.get(f"/console/complaints/{number}").text
    # What an earlier person had said holds again, and nobody need look any more.
    story = gateway.app.desk.story(number)
    assert story
    assert (story.complaint.klass, story.waits) == (ComplaintClass.PRICE, False)


@pytest.mark.parametrize("fields", [{"class": ""}, {"class": "价格"}, {"class": "price", "note": "x" * 2001}, {}])
def test_a_decision_that_makes_no_sense_changes_nothing(gateway: RunningGateway, agent: Visitor, fields: dict[str, str]) -> None:
    number = complain(gateway, "你好，五")
    answer = agent.post(f"/console/complaints/{number}/corrections", {"csrf": agent.csrf(), **fields})
    assert answer.status == 422
    assert corrections(gateway, number) == []


@pytest.mark.parametrize("number", ["TS-20200101-0001", "%E6%8A%95", "%00", "x" * 3000, "..%2f..%2fsecrets"])
def test_a_complaint_that_is_not_there(agent: Visitor, number: str) -> None:
    for path in (f"/console/complaints/{number}", f"/console/complaints/{number}/item", f"/console/complaints/{number}/originals/1"):
        assert agent.get(path).status == 404
    assert agent.post(f"/console/complaints/{number}/corrections", {"csrf": agent.csrf(), "class": "price"}).status in (404, 405)


def test_for_the_script_a_decision_is_answered_by_what_is_left(gateway: RunningGateway, agent: Visitor) -> None:
    number = complain(gateway, "你好，六")
    left = gateway.app.desk.waiting()
    path, fields = f"/console/complaints/{number}/corrections", {"csrf": agent.csrf(), "class": "price"}
    told = json.loads(agent.post(path, fields, X_Jiesu="1").text)
    assert (told["left"], told["undo"]) == (left - 1, f"撤销 {number}")
    back = json.loads(agent.post("/console/undo", fields, X_Jiesu="1").text)
    assert (back["left"], back["open"]) == (left, number)
    wrong = agent.post(path, {**fields, "class": "x"}, X_Jiesu="1")
    assert (wrong.status, json.loads(wrong.text)["said"]) == (422, "请选择一个类别。")
    rows = agent.get("/console", X_Jiesu="1").text
    assert "<html" not in rows
    assert number in rows


def test_filters_and_search_stand_in_the_address(gateway: RunningGateway, agent: Visitor) -> None:
    danger = complain(gateway, "电梯危险，Elevator-ABC%_\\ 坏了", sender="=?utf-8?B?5YiY5aSH?= <liu@mail.example>")
    sure = complain(gateway, "这是合同问题，独一无二的词")
    assert danger in listed(agent)
    assert sure not in listed(agent)
    assert sure in listed(agent, "?show=all")
    assert listed(agent, "?risk=safety&channel=email").count(danger) == 1
    assert danger not in listed(agent, "?risk=legal")
    assert danger not in listed(agent, "?channel=chat")
    assert sure in listed(agent, "?show=all&class=contract")
    assert sure not in listed(agent, "?show=all&class=price")
    for found in ("elevator-abc", "ABC%_\\", "危险 坏了", danger, danger.lower(), "LIU@mail"):
        assert listed(agent, f"?q={quote(found)}") == [danger], found
    for nothing in ("%%", "_x", "危险 没有", "ABC%%", "' OR 1=1 --", "TS-20261124-9999"):
        assert danger not in listed(agent, f"?q={quote(nothing)}"), nothing
    assert listed(agent, f"?show=all&q={quote('独一无二')}") == [sure]
    empty = agent.get(f"/console?q={quote('没有这样的词')}")
    assert "没有符合条件的投诉" in empty.text
    # What makes no sense is passed over.
    odd = {"channel": "pigeon", "class": "x", "risk": "y", "show": "z", "after": "1~2~3", "open": danger, "q": "\x00"}
    assert agent.get(f"/console?{urlencode(odd)}").status == 200
    for after in ("nan~2026-01-01T00:00:00+00:00~a", "1e999~2026-01-01T00:00:00+00:00~a", "1~2026-01-01~a", "~~", "1~9999-99-99~x"):
        assert agent.get(f"/console?{urlencode({'after': after})}").status == 200
    assert agent.get("/console?open=TS-20200101-0001").status == 404


def test_the_page_has_an_end_and_goes_on_behind_it(gateway: RunningGateway, agent: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.web import console

    for place in range(5):
        complain(gateway, f"你好，翻页 {place}")
    monkeypatch.setattr(console, "PAGE", 3)
    for query in ("?", "?show=all&"):
        seen: list[str] = []
        path = query
        while True:
            page = agent.get(f"/console{path}")
            seen += re.findall(r'class="row"[^>]*data-number="([^"]+)"', page.text)
            more = re.search(r'id="more" href="/console([^"]+)"', page.text)
            if not more:
                break
            path = more[1].replace("&amp;", "&")
        assert len(seen) == len(set(seen))
        everything = gateway.app.desk.page(_everything(all_of_them=query != "?"), 1000).listed
        assert seen == [one.number for one in everything]


def test_the_whole_story_stands_on_one_page(gateway: RunningGateway, agent: Visitor) -> None:
    gateway.sender.fail_times = 1
    number = complain(gateway, "你好，七：危险")
    agent.decide(number, "product_quality", note="已电话确认")

    def delivered() -> bool:
        story = gateway.app.desk.story(number)
        return story is not None and len(story.events) == 2 and all(one.deliveries[0].delivered_at for one in story.events)

    eventually(delivered, 60)
    page = agent.get(f"/console/complaints/{number}").text
    for words in (number, "产品质量", "项目工程部", "紧急", "人身安全", "应答复", "已由人工判定", "你好，七：危险", "把握不足，请人判定"):
        assert words in page
    for words in (
        "规则 by_person",
        "预案 2026.11",
        "首次派单",
        "改派",
        "已送达 tracker",
        "接收方出错",
        "500",
        "王静 判为“产品质量”",
        "已电话确认",
    ):
        assert words in page
    kinds = re.findall(r'class="entry e-(\w+)"', page)
    assert kinds[:4] == ["message", "verdict", "assignment", "event"]
    assert "correction" in kinds
    assert "未提供" in page
    english = agent.get(f"/console/complaints/{number}?lang=en").text
    agent.get("/console?lang=zh")
    for words in (
        "product quality",
        "Project engineering",
        "urgent",
        "safety",
        "not sure; a person decides",
        "rerouted",
        "decided: product quality",
    ):
        assert words in english


def test_a_parked_job_is_told_on_the_page(gateway: RunningGateway, agent: Visitor) -> None:
    number = complain(gateway, "你好，八")
    from gateway.store import jobs

    with gateway.app.store.write() as conn:
        jobs.enqueue(conn, [jobs.NewJob("nobody", number, number, {})], gateway.app.clock.now())
        from sqlalchemy import update

        from models.tables import jobs as table

        conn.execute(update(table).where(table.c.kind == "nobody").values(state="parked", reason_code="x", reason="<b>坏了</b>"))
    page = agent.get(f"/console/complaints/{number}").text
    assert "&lt;b&gt;坏了&lt;/b&gt;" in page
    assert "jiesu replay" in page


def test_the_original_is_a_file_and_never_a_page(gateway: RunningGateway, agent: Visitor) -> None:
    number = complain(gateway, "<script>alert(1)</script>你好")
    other = complain(gateway, "你好，九")
    found = re.search(rf'/console/complaints/{number}/originals/(\d+)"', agent.get(f"/console/complaints/{number}").text)
    assert found
    answer = agent.get(f"/console/complaints/{number}/originals/{found[1]}")
    assert answer.bytes == next(one.raw for one in gateway.committed() if b"alert(1)" in one.raw or b"PHNjcmlwdD" in one.raw)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{number}-{found[1]}.eml"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    # Of another complaint it is not to be had.
    assert agent.get(f"/console/complaints/{other}/originals/{found[1]}").status == 404
    for nonsense in ("0", "-1", "９", "x", "9" * 30):
        assert agent.get(f"/console/complaints/{number}/originals/{quote(nonsense)}").status == 404


def test_hostile_content_is_shown_as_text(gateway: RunningGateway, agent: Visitor) -> None:
    number = complain(gateway, HOSTILE, subject="<b>bold</b> \u202e", sender='"</title><script>x" <x@mail.example>')
    agent.decide(number, "price", note=HOSTILE)
    for page in (agent.get(f"/console?show=all&open={number}").text, agent.get(f"/console/complaints/{number}").text):
        assert "<script>window" not in page
        assert "<img" not in page
        assert "</mark><a" not in page
        assert "<b>bold" not in page
        assert not re.search("[\u202e\u2066\u200b\x0b]", page)
        assert "{{7*7}}" in page


def test_the_page_says_who_wrote_each_mail_and_who_is_another(gateway: RunningGateway, agent: Visitor) -> None:
    number = complain(gateway, "漏水三个月了", sender="Grace Lin <grace@mail.example>")
    page = agent.get(f"/console/complaints/{number}").text
    assert "发件人：<bdi>Grace Lin</bdi> &lt;<bdi>grace@mail.example</bdi>&gt;</p>" in page
    assert "另一发件人" not in page
    tokens = ReplyTokens((gateway.app.settings.secrets_folder / "reply.secret").read_text("utf-8").strip())
    fresh = complain(gateway, "是误会", subject=f"Re: {tokens.tag(number)}", sender='"<b>Wang</b>" <wang@corp.example>')
    assert fresh != number
    page = agent.get(f"/console/complaints/{number}").text
    assert '<bdi>&lt;b&gt;Wang&lt;/b&gt;</bdi> &lt;<bdi>wang@corp.example</bdi>&gt; <strong class="missing">另一发件人' in page
    assert "带有我方签发的回信标记" in page
    assert page.count("另一发件人（") == 1
    assert "有另一发件人来信" in agent.get(f"/console?show=all&open={number}").text


def test_a_mailing_list_is_not_called_a_machine(gateway: RunningGateway, agent: Visitor) -> None:
    raw = b"List-Id: <owners.example>\r\n" + mail("投诉", "合同问题")
    number = gateway.app.accept(submission(raw, at=gateway.app.clock.now())).number
    eventually(lambda: (story := gateway.app.desk.story(number)) and story.verdicts)
    for page in (agent.get(f"/console?show=all&open={number}").text, agent.get(f"/console/complaints/{number}").text):
        assert "经邮件列表发来" in page
        assert "自动发出的邮件" not in page


def test_a_text_of_twenty_thousand_characters(gateway: RunningGateway, agent: Visitor) -> None:
    number = complain(gateway, "漏水" * 10_000)
    page = agent.get(f"/console/complaints/{number}")
    assert page.status == 200
    assert "漏水" * 5_000 in page.text
    assert len(agent.get("/console").text) < 200_000


def test_a_store_that_is_away_is_told_in_words(gateway: RunningGateway, agent: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.errors import TryLater

    def away(*_: object) -> None:
        raise TryLater("store_unavailable", "数据库暂时不可用，请稍后再试", "the store is unavailable")

    monkeypatch.setattr(gateway.app.desk, "page", away)
    answer = agent.get("/console")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "数据库暂时不可用" in answer.text

    def bug(*_: object) -> None:
        raise ZeroDivisionError("秘密")

    monkeypatch.setattr(gateway.app.desk, "page", bug)
    answer = agent.get("/console")
    assert answer.status == 503
    assert "秘密" not in answer.text
    assert "已记入日志" in answer.text


def _everything(*, all_of_them: bool = False):  # type: ignore[no-untyped-def]
    from gateway.store.desk import View

    return View(everything=all_of_them)
