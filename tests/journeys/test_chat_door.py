"""The door for chats over real WebSockets: a line is ticked only when it is on disk, nobody sees another's, and nobody can hold it up."""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from chat_client import SECONDS, Chat
from fakes import Meeting, eventually
from running import RunningGateway
from websockets.exceptions import ConnectionClosed, InvalidStatus

from connectors import web_chat
from gateway import serve
from models.errors import TryLater
from models.submission import Submission


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path, chat_quiet_seconds=0.2, drop_enabled="false", smtp_enabled="false") as running:
        yield running


@pytest.fixture
def chat(gateway: RunningGateway) -> Iterator[Chat]:
    with Chat(gateway) as opened:
        yield opened


def test_a_line_is_ticked_only_after_its_commit(gateway: RunningGateway, chat: Chat) -> None:
    at_the_commit, go_on = Meeting(), Meeting()

    def wait(_: Submission) -> None:
        at_the_commit.happen()
        go_on.wait()

    gateway.watched.before = wait
    welcome = chat.hello()
    assert set(welcome) == {"type", "token", "lines", "told", "complaints", "asked", "topic", "agent", "known"}
    assert welcome["lines"] == []
    assert len(welcome["token"]) == 43
    chat.say({"type": "message", "id": "c1", "text": "我家漏水"})
    at_the_commit.wait()
    assert gateway.committed() == []
    with pytest.raises(TimeoutError):
        chat.socket.recv(timeout=0.1)
    go_on.happen()
    told = chat.hear()
    assert told["type"] == "ack"
    assert (told["id"], told["number"]) == ("c1", gateway.numbers()[0])
    # The store does not know the token itself.
    assert welcome["token"] not in str(gateway.committed())


def test_a_line_sent_again_is_one_line(gateway: RunningGateway, chat: Chat) -> None:
    token = chat.hello()["token"]
    first = chat.line("c1", "我家漏水")
    assert chat.line("c1", "我家漏水")["number"] == first["number"]
    with Chat(gateway) as again:
        assert [line["id"] for line in again.hello(token)["lines"]] == ["c1"]
        assert again.line("c1", "我家漏水")["number"] == first["number"]
    assert len(gateway.committed()) == 1


def test_a_conversation_is_resumed_by_its_token_and_by_nothing_else(gateway: RunningGateway, chat: Chat) -> None:
    token = chat.hello()["token"]
    number = chat.line("c1", "我家漏水")["number"]
    chat.line("c2", "我叫林树")
    chat.socket.close()
    with Chat(gateway) as back, Chat(gateway) as stranger:
        assert [(line["id"], line["text"]) for line in back.hello(token)["lines"]] == [("c1", "我家漏水"), ("c2", "我叫林树")]
        assert back.line("c3", "补充")["number"] == number
        for guess in (secrets.token_urlsafe(32), "x", token[:-1], "' OR 1=1 --", 7, None, [token]):
            with Chat(gateway) as guessing:
                welcome = guessing.ask({"type": "hello", "token": guess})
                assert welcome["type"] == "welcome"
                assert welcome["lines"] == []
                assert welcome["token"] != token
        stranger.hello()
        # The same id in another conversation is another line.
        assert stranger.line("c1", "别的事")["number"] != number


def test_a_long_conversation_is_told_from_its_end(gateway: RunningGateway, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_chat, "_MOST_LINES_TOLD", 3)
    token = chat.hello()["token"]
    for n in range(5):
        chat.line(f"c{n}", f"第{n}条")
    with Chat(gateway) as back:
        assert [line["id"] for line in back.hello(token)["lines"]] == ["c2", "c3", "c4"]


def test_where_it_stands_is_told_after_sorting_and_again_after_resuming(gateway: RunningGateway, chat: Chat) -> None:
    token = chat.hello()["token"]
    number = chat.line("c1", "价格问题，说好的折扣没有了")["number"]
    status = chat.until("status")
    assert (status["type"], status["number"], status["class"], status["review"]) == ("status", number, "price", False)
    assert status["department"]
    assert status["department_en"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status["reply_due"])
    chat.socket.close()
    with Chat(gateway) as back:
        (again,) = back.hello(token)["complaints"]
        assert {"type": "status"} | again == status


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://{host}", True),
        ("https://www.example.com", True),
        ("HTTPS://WWW.EXAMPLE.COM", True),
        ("https://shop.example", True),
        ("https://evil.example", False),
        ("https://www.example.com.evil.example", False),
        ("https://www.example.com:8443", False),
        ("http://{host}.evil.example", False),
        ("http://evil.example/{host}", False),
        ("http://evil@{host}", False),
        ("null", False),
        ("http://[", False),
        ("http://127.0.0.1:1", False),
        ("", False),
    ],
)
def test_only_our_own_pages_and_the_named_ones_may_open_a_chat(shared: RunningGateway, origin: str | None, allowed: bool) -> None:
    host = shared.web.removeprefix("http://")
    options = {} if origin is None else {"additional_headers": {"Origin": origin.format(host=host)}}
    if allowed:
        with Chat(shared, **options) as opened:
            assert opened.hello()["type"] == "welcome"
    else:
        with pytest.raises(InvalidStatus) as refused, Chat(shared, **options):
            pass
        assert refused.value.response.status_code == 403


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    origins = '["https://www.example.com", "https://shop.example/"]'
    home = tmp_path_factory.mktemp("shared")
    with RunningGateway(home, chat_allowed_origins=origins, chat_quiet_seconds=0.2, drop_enabled="false", smtp_enabled="false") as running:
        yield running


NESTED = "[" * 30_000


@pytest.mark.parametrize(
    ("sent", "code", "id_"),
    [
        ("", "not_json", None),
        ("hello", "not_json", None),
        ("7", "not_json", None),
        ("[]", "not_json", None),
        ("null", "not_json", None),
        ('{"type": "hello"', "not_json", None),
        (b'{"type": "hello"}', "not_json", None),
        (b"\x00\xff", "not_json", None),
        (NESTED, "not_json", None),
        ('{"type": ' + NESTED, "not_json", None),
        ('{"a":' * 10_000, "not_json", None),
        ('{"type": ' + "9" * 10_000 + "}", "not_json", None),
        ('{"type": NaN}', "unknown_event", None),
        ("{}", "unknown_event", None),
        ('{"type": ["message"]}', "unknown_event", None),
        ('{"type": "delete", "id": "x"}', "unknown_event", "x"),
        ('{"type": "status", "id": "<script>"}', "unknown_event", None),
        ('{"type": "message"}', "bad_id", None),
        ('{"type": "message", "id": 7, "text": "x"}', "bad_id", None),
        ('{"type": "message", "id": "", "text": "x"}', "bad_id", None),
        ('{"type": "message", "id": "a b", "text": "x"}', "bad_id", None),
        ('{"type": "message", "id": "ok\\n", "text": "x"}', "bad_id", None),
        ('{"type": "message", "id": "' + "x" * 65 + '", "text": "x"}', "bad_id", None),
        ('{"type": "message", "id": "c1"}', "empty", "c1"),
        ('{"type": "message", "id": "c1", "text": " \\n\\u3000"}', "empty", "c1"),
        ('{"type": "message", "id": "c1", "text": ["x"]}', "empty", "c1"),
        (json.dumps({"type": "message", "id": "c1", "text": "长" * 4001}), "too_long", "c1"),
        ('{"type": "hello"}', "second_hello", None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_makes_no_sense_is_told_in_both_languages_and_the_chat_goes_on(
    shared: RunningGateway, sent: str | bytes, code: str, id_: str | None
) -> None:
    with Chat(shared) as chat:
        chat.hello()
        told = chat.ask(sent)
        assert (told["type"], told["code"], told.get("id")) == ("error", code, id_)
        assert re.search(r"[\u4e00-\u9fff]", told["zh"])
        assert re.search(r"[a-z]", told["en"])
        assert chat.line("c2", "还在")["type"] == "ack"


def test_before_hello_nothing_is_taken(shared: RunningGateway) -> None:
    before = len(shared.committed())
    with Chat(shared) as chat:
        assert chat.line("c1", "x")["code"] == "no_hello"
        assert chat.hello()["type"] == "welcome"
    assert len(shared.committed()) == before


@pytest.mark.parametrize(
    "text", ["\ud800 half a character", "\x00\x1b[31m\u202e", "<script>alert(1)</script>", "=1+1", "😀" * 4000, "a\r\nBcc: x"]
)
def test_a_line_of_any_characters_comes_back_as_it_was(shared: RunningGateway, text: str) -> None:
    with Chat(shared) as chat, Chat(shared) as back:
        token = chat.hello()["token"]
        number = chat.line("c1", text)["number"]
        (line,) = back.hello(token)["lines"]
        assert line["text"] == text
    # And it can be read: it becomes a ticket, and nothing is parked.
    eventually(lambda: any(number.encode() in sent.body for sent in shared.sender.accepted), 60)


@pytest.mark.parametrize(("size", "code"), [(65_536, 0), (65_537, 1009), (1_000_000, 1009)])
def test_a_frame_too_large_ends_the_chat(shared: RunningGateway, size: int, code: int) -> None:
    with Chat(shared) as chat:
        chat.hello()
        if not code:
            assert chat.ask("x" * size)["code"] == "not_json"
            return
        try:
            chat.say("x" * size)
        except ConnectionClosed:
            pass
        assert chat.close_code() == code


def test_a_message_in_many_frames_is_as_limited(shared: RunningGateway) -> None:
    with Chat(shared) as chat:
        chat.hello()
        try:
            chat.socket.send("x" * 1000 for _ in range(100))
        except ConnectionClosed:
            pass
        assert chat.close_code() == 1009


def test_text_that_is_no_utf_8_ends_the_chat(shared: RunningGateway) -> None:
    with Chat(shared) as chat:
        chat.hello()
        chat.socket.send(b"\xff\xfe", text=True)
        assert chat.close_code() == 1007


def test_who_writes_too_fast_is_told_so_and_who_floods_is_cut_off(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, chat_max_lines_per_minute=5) as gateway, Chat(gateway) as chat:
        chat.hello()
        assert [chat.line(f"c{n}", "x")["type"] for n in range(5)] == ["ack"] * 5
        told = chat.line("c5", "x")
        assert (told["code"], told["id"]) == ("too_fast", "c5")
        try:
            for _ in range(100):
                chat.say("{}")
        except ConnectionClosed:
            pass
        assert chat.close_code() == 1008
        assert len(gateway.committed()) == 5
        # It is that connection which is closed, and not the door.
        with Chat(gateway) as other:
            assert other.hello()["type"] == "welcome"


@pytest.mark.parametrize("chatter", [False, True])
def test_who_never_says_hello_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chatter: bool) -> None:
    monkeypatch.setattr(web_chat, "_HELLO_SECONDS", 0.5)
    with RunningGateway(tmp_path) as gateway, Chat(gateway) as chat:
        ended = threading.Event()

        def keep_talking() -> None:
            while chatter and not ended.wait(0.05):
                try:
                    chat.say("{}")
                except ConnectionClosed:
                    return

        talking = threading.Thread(target=keep_talking)
        talking.start()
        assert chat.close_code() == 1008
        ended.set()
        talking.join()


def test_a_silent_chat_ends_and_can_be_resumed(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, chat_idle_seconds=0.5) as gateway, Chat(gateway) as chat:
        token = chat.hello()["token"]
        assert chat.close_code() == 1001
        with Chat(gateway) as back:
            assert back.hello(token)["token"] == token


@pytest.mark.parametrize("error", [TryLater("full", "磁盘已满", "disk full"), ZeroDivisionError("secret"), OSError(28, "secret")])
def test_what_cannot_be_taken_in_is_told_so_and_taken_later(gateway: RunningGateway, chat: Chat, error: Exception) -> None:
    def fail(_: Submission) -> None:
        raise error

    gateway.watched.before = fail
    chat.hello()
    told = chat.line("c1", "我家漏水")
    assert (told["code"], told["id"]) == ("try_later", "c1")
    assert "secret" not in str(told)
    gateway.watched.before = lambda _: None
    assert chat.line("c1", "我家漏水")["type"] == "ack"
    assert len(gateway.committed()) == 1


def test_who_leaves_before_the_tick_finds_his_line_again(gateway: RunningGateway, chat: Chat) -> None:
    at_the_commit, go_on = Meeting(), Meeting()

    def wait(_: Submission) -> None:
        at_the_commit.happen()
        go_on.wait()

    gateway.watched.before = wait
    token = chat.hello()["token"]
    chat.say({"type": "message", "id": "c1", "text": "我家漏水"})
    at_the_commit.wait()
    chat.socket.socket.shutdown(socket.SHUT_RDWR)
    go_on.happen()
    eventually(gateway.committed)
    with Chat(gateway) as back:
        assert [line["id"] for line in back.hello(token)["lines"]] == ["c1"]
        assert back.line("c1", "我家漏水")["number"] == gateway.numbers()[0]
    assert len(gateway.committed()) == 1


def open_chats(gateway: RunningGateway) -> int:
    """How many connections of the web are open, as the kernel sees them."""
    port = f":{int(gateway.web.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # 0A is the listening socket, 06 are remains of connections that both sides have closed.
    return sum(1 for row in rows if row[1].endswith(port) and row[3] not in ("0A", "06"))


@pytest.mark.parametrize("manner", ["lines", "pings"])
def test_a_client_that_never_reads_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str) -> None:
    monkeypatch.setattr(serve, "_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(web_chat, "_SLOW_READER_SECONDS", 0.5)
    with RunningGateway(tmp_path, chat_max_lines_per_minute=100_000) as gateway:
        host, _, port = gateway.web.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=SECONDS) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(
                f"GET /ws/chat HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            assert deaf.recv(12) == b"HTTP/1.1 101"
            # An empty mask leaves the bytes as they are.
            frame = b"\x89\xfd\0\0\0\0" + b"x" * 125 if manner == "pings" else b"\x81\x82\0\0\0\0{}"
            deadline = time.monotonic() + SECONDS
            with pytest.raises(ConnectionError):
                while time.monotonic() < deadline:
                    deaf.sendall(frame * 2000)
            eventually(lambda: open_chats(gateway) == 0)


def test_at_most_so_many_chats_of_one_address(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, chat_max_connections_per_address=3) as gateway, ExitStack() as stack:
        three = [stack.enter_context(Chat(gateway)) for _ in range(3)]
        for one in three:
            one.hello()
        with Chat(gateway) as fourth:
            assert fourth.hear()["code"] == "too_many"
            assert fourth.close_code() == 1013
        with Chat(gateway, source_address=("127.0.0.2", 0)) as neighbour:
            assert neighbour.hello()["type"] == "welcome"
        three[0].socket.close()

        def has_room() -> bool:
            with Chat(gateway) as next_one:
                return next_one.hello()["type"] == "welcome"

        assert eventually(has_room)


def test_at_most_so_many_chats_in_all(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, chat_max_connections=2) as gateway, Chat(gateway) as first, Chat(gateway) as second:
        first.hello()
        second.hello()
        with Chat(gateway, source_address=("127.0.0.2", 0)) as third:
            assert third.hear()["code"] == "too_many"


def test_when_the_gateway_stops_every_chat_is_told_to_come_back(gateway: RunningGateway, chat: Chat) -> None:
    chat.hello()
    chat.line("c1", "我家漏水")
    with Chat(gateway) as silent:
        gateway.begin_to_stop()
        assert chat.close_code() == 1012
        assert silent.close_code() == 1012
    gateway.stop()
    assert len(gateway.committed()) == 1


def test_forty_chats_at_once_keep_their_lines_apart(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, chat_max_connections_per_address=100) as gateway, ExitStack() as stack:
        chats = [stack.enter_context(Chat(gateway)) for _ in range(40)]
        tokens = [one.hello()["token"] for one in chats]
        for m in range(5):
            for n, one in enumerate(chats):
                one.say({"type": "message", "id": f"m{m}", "text": f"{n}-{m}"})
        acks = [[one.until("ack") for _ in range(5)] for one in chats]
        assert all([ack["id"] for ack in told] == [f"m{m}" for m in range(5)] for told in acks)
        numbers = [{ack["number"] for ack in told} for told in acks]
        assert all(len(number) == 1 for number in numbers)
        assert len(set.union(*numbers)) == 40
        for n, token in enumerate(tokens[:5]):
            with Chat(gateway) as back:
                assert [line["text"] for line in back.hello(token)["lines"]] == [f"{n}-{m}" for m in range(5)]
