"""Transcripts by HTTP: every body, two kinds of token, and what becomes of calls: joined, linked, to be called back."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fakes import eventually
from running import RunningGateway
from sqlalchemy import select

from connectors.call_data import CallData
from gateway.call_joining import Matter, decide, filled
from gateway.call_records import words_of
from gateway.store import answers
from gateway.web import transcripts_api
from models.answer import Way
from models.complaint import Customer
from models.errors import TryLater
from models.staff import Scope
from models.submission import Channel
from models.tables import calls, joined_numbers
from models.verdict import ComplaintClass

SECONDS = 30
FOLDER = Path(__file__).parent.parent / "transcripts"
BOUNDARY = "b0undary"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(
        tmp_path_factory.mktemp("transcripts"), drop_enabled="false", smtp_enabled="false", phone_max_body_bytes=2_000_000
    ) as running:
        yield running


def ask(
    gateway: RunningGateway, path: str, body: bytes, *, token: str | None = None, method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any]]:
    host, _, port = gateway.web.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
    whole = {name.replace("_", "-"): value for name, value in headers.items()}
    if token != "":
        whole["Authorization"] = f"Bearer {token or gateway.app.api_token}"
    try:
        connection.request(method, path, body, whole)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def send(gateway: RunningGateway, text: str, **call: str) -> str:
    """Sends a transcript and waits until it has been sorted. Returns the number that it was given first."""
    query = f"?{urlencode(call)}" if call else ""
    status, answer = ask(gateway, f"/api/v1/transcripts{query}", text.encode())
    assert status == 200, answer
    number = answer["number"]
    eventually(lambda: whole(gateway, number).get("verdict"))
    return str(number)


def whole(gateway: RunningGateway, number: str) -> dict[str, Any]:
    return ask(gateway, f"/api/v1/complaints/{number}", b"", method="GET")[1]


def form(*parts: tuple[str, str, bytes]) -> bytes:
    """A multipart body of (name, file name, content)."""
    lines = []
    for name, file, content in parts:
        named = f'; filename="{file}"' if file else ""
        lines.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n")
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


SAMPLES = sorted(p for p in FOLDER.glob("[0-7]*") if not p.name.endswith((".expected.json", ".got")) and p.stat().st_size)


@pytest.mark.parametrize("path", SAMPLES[::3], ids=lambda path: path.name)
def test_any_format_is_taken_as_it_is(gateway: RunningGateway, path: Path) -> None:
    raw = path.read_bytes()
    status, answer = ask(gateway, "/api/v1/transcripts", raw)
    assert status == 200
    assert any(one.raw == raw for one in gateway.committed(Channel.PHONE))
    status, again = ask(gateway, "/api/v1/transcripts", raw)
    assert (status, again["duplicate"]) == (200, True)
    assert answer["duplicate"] is False


def test_a_form_with_metadata(gateway: RunningGateway) -> None:
    metadata = {"call_id": "m-1", "caller": "13911110001", "agent": "07", "recording": "javascript:alert(1)"}
    body = form(
        ("transcript", "../../x.txt", "客户：我家防盗门关不上，合同问题。".encode()), ("metadata", "", json.dumps(metadata).encode())
    )
    status, answer = ask(gateway, "/api/v1/transcripts", body, Content_Type=MULTIPART)
    assert status == 200
    envelope = gateway.committed(Channel.PHONE)[-1].envelope
    assert envelope == {"door": "api", "token": "api.token", "call": {"id": "m-1", "caller": "13911110001", "agent": "07"}}
    eventually(lambda: whole(gateway, answer["number"]).get("verdict"))
    assert whole(gateway, answer["number"])["customer"]["phone"] == "13911110001"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "text/plain", 400),
        (b"no form", MULTIPART, 400),
        (form(("other", "", b"x")), MULTIPART, 422),
        (form(("transcript", "", b"x"), ("metadata", "", b"[]")), MULTIPART, 422),
        (form(*[(f"f{n}", "", b"x") for n in range(40)]), MULTIPART, 400),
        (b"x" * 2_000_001, "text/plain", 413),
        (b"x" * 3_000_000, "text/plain", 413),
    ],
)
def test_what_is_no_transcript_is_refused_with_a_sentence(gateway: RunningGateway, body: bytes, kind: str, status: int) -> None:
    before = len(gateway.committed())
    got, answer = ask(gateway, "/api/v1/transcripts", body, Content_Type=kind)
    assert got == status
    assert answer["detail"]
    assert len(gateway.committed()) == before


def test_other_addresses_keep_their_own_limit(gateway: RunningGateway) -> None:
    assert ask(gateway, "/api/v1/review", b"x" * 1_100_000)[0] == 413


def test_a_fault_of_ours_is_503_and_nothing_is_acknowledged(gateway: RunningGateway) -> None:
    def fail(_: object) -> None:
        raise TryLater("full", "磁盘已满", "disk full")

    gateway.watched.before = fail
    try:
        assert ask(gateway, "/api/v1/transcripts", "客户：物业费价格问题太高了".encode())[0] == 503
    finally:
        gateway.watched.before = lambda _: None
    assert ask(gateway, "/api/v1/transcripts", "客户：物业费价格问题太高了".encode())[1]["duplicate"] is False


def test_the_same_idempotency_key_gets_the_same_answer(gateway: RunningGateway) -> None:
    raw = "客户：喂".encode()
    first = ask(gateway, "/api/v1/transcripts", raw, Idempotency_Key="k-1")
    assert ask(gateway, "/api/v1/transcripts", raw, Idempotency_Key="k-1") == first
    # Hardly a word was said: another key is another call.
    assert ask(gateway, "/api/v1/transcripts", raw, Idempotency_Key="k-2")[1]["number"] != first[1]["number"]
    assert ask(gateway, "/api/v1/transcripts", b"other", Idempotency_Key="k-1")[0] == 422


def test_who_may_write_and_what_a_callbacks_token_opens(gateway: RunningGateway) -> None:
    add = gateway.app.staffing.add_token
    writer, reader = add("pbx", [Scope.TRANSCRIPTS_WRITE]), add("bi", [Scope.COMPLAINTS_READ])
    back, both = add("asr", [Scope.TRANSCRIPTS_CALLBACK]), add("all", [Scope.TRANSCRIPTS_CALLBACK, Scope.TRANSCRIPTS_WRITE])
    raw = "客户：我想问问什么时候交房，合同问题".encode()
    assert ask(gateway, "/api/v1/transcripts", raw, token="")[0] == 401
    assert ask(gateway, "/api/v1/transcripts", raw, token=reader)[0] == 403
    assert ask(gateway, "/api/v1/transcripts", raw, token=back)[0] == 403
    assert ask(gateway, "/api/v1/transcripts", raw, token=writer)[0] == 200
    # By its address.
    assert ask(gateway, f"/api/v1/transcripts/callback/{back}", raw, token="") == (200, {"code": 0, "message": "success"})
    assert ask(gateway, f"/api/v1/transcripts/callback?token={back}", raw, token="")[0] == 200
    for wrong in (writer, both, gateway.app.api_token):
        assert ask(gateway, f"/api/v1/transcripts/callback/{wrong}", raw, token="")[0] == 403
    assert ask(gateway, "/api/v1/transcripts/callback/nothing", raw, token="")[0] == 401
    assert ask(gateway, "/api/v1/transcripts/callback", raw, token="")[0] == 401
    assert ask(gateway, f"/api/v1/complaints/TS-1?token={back}", b"", token="", method="GET")[0] == 401
    # Neither the token nor the address it stands in is in the log.
    assert back not in json.dumps(gateway.log())


def test_a_form_that_a_speech_service_calls_back_with(gateway: RunningGateway) -> None:
    token = gateway.app.staffing.add_token("tencent", [Scope.TRANSCRIPTS_CALLBACK])
    detail = [
        {"FinalSentence": "您好，请问有什么可以帮您", "StartMs": 0, "EndMs": 1500, "SpeakerId": 0},
        {"FinalSentence": "我家窗户漏风，你们没人来修，产品质量太差", "StartMs": 1600, "EndMs": 5000, "SpeakerId": 1},
    ]
    fields = {
        "code": "0",
        "message": "success",
        "requestId": "900",
        "appid": "1",
        "audioTime": "5.0",
        "text": "",
        "resultDetail": json.dumps(detail),
    }
    status, _ = ask(
        gateway,
        f"/api/v1/transcripts/callback/{token}",
        urlencode(fields).encode(),
        token="",
        Content_Type="application/x-www-form-urlencoded",
    )
    assert status == 200
    number = gateway.numbers()[-1]
    found = eventually(lambda: whole(gateway, number).get("conversation"))
    assert found[0]["said"] == "我家窗户漏风，你们没人来修，产品质量太差"
    assert [turn["start"] for turn in found[0]["turns"]] == [0.0, 1.6]
    # One that failed is to be called back.
    failed = {"code": "10002", "message": "failed", "requestId": "901", "appid": "1", "text": ""}
    ask(
        gateway,
        f"/api/v1/transcripts/callback/{token}",
        urlencode(failed).encode(),
        token="",
        Content_Type="application/x-www-form-urlencoded",
    )
    eventually(lambda: to_call_back(gateway, gateway.numbers()[-1]))


def to_call_back(gateway: RunningGateway, number: str) -> list[str]:
    with gateway.app.store.read() as conn:
        return [one.body for one in answers.of_number(conn, number) if one.way is Way.CALL]


def event_of(gateway: RunningGateway, number: str, kind: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        events = [json.loads(one.body) for one in gateway.sender.accepted]
        return next((one["data"] for one in events if one["data"]["number"] == number and one["type"] == kind), None)

    found = eventually(look)
    assert isinstance(found, dict)
    return found


def test_a_call_without_words_is_to_be_called_back_and_says_so_in_the_ticket(gateway: RunningGateway) -> None:
    raw = (FOLDER / "05-aliyun-isi-failed.json").read_text().replace('"TaskId": "', '"TaskId": "again-')
    number = send(gateway, raw, caller="13911110002", recording="https://rec.example/2.wav", call_id="back-2")
    assert to_call_back(gateway, number) == ["待回电：语音识别失败。来电号码 13911110002；录音 https://rec.example/2.wav。"]
    told = event_of(gateway, number, "complaint.routed")
    assert told["call_back"] == "语音识别失败"
    assert told["summary"] == "待回电：语音识别失败"
    assert told["calls"][0]["recording"] == "https://rec.example/2.wav"
    assert told["rule"] == "nothing_said"


def test_what_the_agent_says_is_evidence_and_decides_nothing(gateway: RunningGateway) -> None:
    text = "客服：又怎么了，催什么催\n客户：我家窗户坏了，这是产品质量\n客服：不归我管，你去投诉好了\n"
    number = send(gateway, text, caller="13911110003")
    told = event_of(gateway, number, "complaint.routed")
    assert told["class"] == "product_quality"
    assert [(one["code"], one["turn"]) for one in told["agent_conduct"]] == [("impatient", 1), ("brush_off", 3)]
    # The same words in the customer's mouth are no evidence against anybody.
    other = send(gateway, "客服：您好\n客户：催什么催，不归我管，这是产品质量问题啊\n", caller="13911110004")
    assert event_of(gateway, other, "complaint.routed")["agent_conduct"] == []


def test_a_second_call_about_the_same_joins_the_first_and_its_number_leads_there(gateway: RunningGateway) -> None:
    first = send(gateway, "客户：我家主卧窗户渗水，墙皮都掉了，这是产品质量问题", caller="13922220001", call_id="j-1")
    status, answer = ask(
        gateway,
        "/api/v1/transcripts?" + urlencode({"caller": "13922220001", "call_id": "j-2"}),
        "客户：还是主卧窗户渗水的事，墙皮掉了也没人来，产品质量问题到底谁管".encode(),
    )
    assert status == 200
    fresh = answer["number"]
    assert fresh != first
    told = event_of(gateway, first, "complaint.updated")
    assert told["new_message"].startswith("还是主卧窗户渗水")
    assert told["messages"] == 2
    # Whoever has the fresh number finds the complaint; nobody was told of a second ticket.
    assert whole(gateway, fresh)["number"] == first
    assert not [one for one in gateway.sender.accepted if json.loads(one.body)["data"]["number"] == fresh]
    with gateway.app.store.read() as conn:
        row = conn.execute(select(joined_numbers).where(joined_numbers.c.number == fresh)).one()
        assert (row.joined, row.by) == (first, "alike")
        assert conn.execute(select(calls.c.number).where(calls.c.call_id == "j-2")).scalar_one() == first
    joined = next(line for line in gateway.log("Joined") if line["number"] == fresh)
    assert (joined["joined"], joined["by"]) == (first, "alike")
    # The same call again, from the platform's retry.
    assert ask(
        gateway,
        "/api/v1/transcripts?" + urlencode({"caller": "13922220001", "call_id": "j-2"}),
        "客户：还是主卧窗户渗水的事，墙皮掉了也没人来，产品质量问题到底谁管".encode(),
    )[1] == {"code": 0, "message": "success", "number": first, "duplicate": True}


def test_another_matter_of_the_same_caller_is_linked_and_what_is_known_of_him_is_filled_in(gateway: RunningGateway) -> None:
    first = send(gateway, "客户：我是林树，我家门锁坏了，产品质量不行", caller="13922220002")
    second = send(gateway, "客户：我想问一下首付分期的合同问题怎么写", caller="13922220002")
    assert whole(gateway, second)["number"] == second != first
    assert whole(gateway, second)["customer"]["name"] == "林树"
    story = gateway.app.desk.story(second)
    assert story is not None
    assert [one.number for one in story.others] == [first]


def test_the_late_transcript_of_a_call_joins_the_call_that_was_to_be_called_back(gateway: RunningGateway) -> None:
    failed = (FOLDER / "05-aliyun-isi-failed.json").read_text().replace('"TaskId": "', '"TaskId": "late-')
    first = send(gateway, failed, call_id="late-1", caller="13922220003")
    status, answer = ask(
        gateway, "/api/v1/transcripts?call_id=late-1&caller=13922220003", "客户：销售骂人，服务态度恶劣，我要投诉".encode()
    )
    assert status == 200
    told = event_of(gateway, first, "complaint.rerouted")
    assert told["class"] == "service_attitude"
    assert told["call_back"] is None
    assert whole(gateway, answer["number"])["number"] == first


# The rules by themselves.


def matter(
    number: str, said: str = "", *, phone: str = "1", klass: ComplaintClass | None = ComplaintClass.PRICE, ids=(), at=0, **home: str
) -> Matter:
    from datetime import timedelta

    from factories import MORNING

    spoken = words_of(said)
    return Matter(
        number,
        MORNING + timedelta(days=at),
        frozenset(filter(None, [phone])),
        klass,
        Customer(**home),
        said,
        frozenset(("", one) for one in ids),
        frozenset(filter(None, [spoken])),
    )


LONG = "你们的团购费说抵八万结果邻居没交也一样的价钱"


@pytest.mark.parametrize(
    ("new", "old", "code"),
    [
        (matter("b", unit="3-201"), matter("a", unit="3-201"), "same_home"),
        (matter("b", estate="云栖苑"), matter("a", estate="云栖苑", unit="3-201"), "same_home"),
        (matter("b", unit="3-201"), matter("a", unit="3-202"), None),
        (matter("b", LONG, unit="3-201"), matter("a", LONG + "退钱", unit="3-202"), None),
        (matter("b", LONG), matter("a", "我问过了，" + LONG + "，退钱"), "alike"),
        (matter("b", LONG, phone="2"), matter("a", "我问过了，" + LONG + "，退钱"), None),
        (matter("b", LONG), matter("a", LONG + "退钱", klass=ComplaintClass.CONTRACT), None),
        (matter("b", LONG + LONG, phone=""), matter("a", LONG + LONG), "same_words"),
        # What recognisers make of silence.
        (matter("b", LONG, phone=""), matter("a", LONG, phone=""), None),
        (matter("b", LONG), matter("a", LONG, klass=None), "same_words"),
        (matter("b", LONG, phone="2"), matter("a", LONG), None),
        (matter("b", "喂"), matter("a", "喂"), None),
        (matter("b", ids=["x"], phone=""), matter("a", ids=["x"], klass=None), "same_call"),
        (matter("b", ids=["x"], phone="2"), matter("a", ids=["x"]), None),
        (matter("b", unit="3-201", at=15), matter("a", unit="3-201"), None),
        (matter("b"), matter("a"), None),
    ],
)
def test_which_calls_are_about_the_same(new: Matter, old: Matter, code: str | None) -> None:
    from datetime import timedelta

    found = decide(new, [old], timedelta(days=14))
    assert (found.code if found else None) == code
    if found:
        assert found.zh.endswith("并入 a")


def test_the_limit_of_the_address_leaves_room_for_the_frame(gateway: RunningGateway) -> None:
    assert transcripts_api.most_bytes(gateway.app) > gateway.app.settings.phone.max_body_bytes
    assert CallData().found() == {}


def test_a_home_is_filled_in_only_where_nothing_differs() -> None:
    known = Customer(name="林树", estate="云栖苑", unit="3-201")
    assert filled(Customer(), known) == known
    assert filled(Customer(estate="云栖苑"), known).unit == "3-201"
    assert filled(Customer(estate="澜湾府"), known) == Customer(name="林树", estate="澜湾府")
    assert filled(Customer(name="她", unit="9-9"), known) == Customer(name="她", unit="9-9")
