"""The development tracker when it is told to fail, is stopped, crashes, or has nowhere to write: what it acknowledged is never lost."""

from __future__ import annotations

import base64
import http.client
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trackers import BEARER, PAGE_TOKEN, SECRET, RunningTracker, ask, event, send, signed

from gateway.devtracker import Server
from models.errors import BadSetting


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[RunningTracker]:
    with RunningTracker(tmp_path / "tracker") as running:
        yield running


@pytest.mark.parametrize("mode", ["500", "429", "410", "302", "400"])
def test_it_fails_as_often_as_it_is_told(tracker: RunningTracker, mode: str) -> None:
    tracker.fail(mode, times=2, retry_after=7)
    for _ in range(2):
        status, headers, _ = ask(tracker, "POST", "/events", event(), signed(event()))
        assert (status, headers["retry-after"]) == (int(mode), "7")
    assert tracker.events() == []
    assert tracker.ask("/fail") == {"mode": "ok", "times": None, "retry_after": None}
    assert send(tracker, event()) == 200


def test_it_fails_until_it_is_told_otherwise(tracker: RunningTracker) -> None:
    tracker.fail("500")
    assert [send(tracker, event()) for _ in range(3)] == [500, 500, 500]
    # What is not truly signed does not count, and learns nothing.
    assert ask(tracker, "POST", "/events", event())[0] == 401
    tracker.fail("ok")
    assert send(tracker, event()) == 200


def test_lose_keeps_the_event_and_drops_the_connection(tracker: RunningTracker) -> None:
    tracker.fail("lose", times=1)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        send(tracker, event())
    assert len(tracker.events()) == 1
    assert send(tracker, event()) == 200
    assert len(tracker.events()) == 1


def test_hang_answers_nothing_and_does_not_hinder_the_end(tracker: RunningTracker) -> None:
    tracker.fail("hang", times=2)
    with pytest.raises(TimeoutError):
        ask(tracker, "POST", "/events", event(), signed(event()), timeout=0.3)
    waiting = threading.Thread(target=lambda: _quietly(tracker))
    waiting.start()
    while tracker.ask("/fail")["mode"] != "ok":
        time.sleep(0.01)
    begun = time.monotonic()
    tracker.stop()
    assert time.monotonic() - begun < 2
    waiting.join(5)
    tracker.start()
    assert tracker.events() == []


def _quietly(tracker: RunningTracker) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        send(tracker, event())


@pytest.mark.parametrize(
    "told",
    [
        *("", "[]", '{"mode":"501"}', '{"mode":[]}', '{"mode":"500","more":1}'),
        *('{"mode":"500","times":0}', '{"mode":"500","times":true}', '{"mode":"500","times":1.5}'),
        *('{"mode":"500","retry_after":-1}', '{"mode":"500","retry_after":"soon"}'),
    ],
)
def test_nonsense_told_to_fail_is_400_and_changes_nothing(tracker: RunningTracker, told: str) -> None:
    assert ask(tracker, "POST", "/fail", told, BEARER | {"Content-Type": "application/json"})[0] == 400
    assert tracker.ask("/fail")["mode"] == "ok"


def test_a_form_of_another_site_cannot_tell_it_to_fail(tracker: RunningTracker) -> None:
    assert ask(tracker, "POST", "/fail", '{"mode":"500"}', BEARER | {"Content-Type": "text/plain"})[0] == 415


def test_a_restart_keeps_everything(tracker: RunningTracker) -> None:
    for n in (1, 2, 3):
        send(tracker, event(f"TS-{n % 2}"), f"evt_{n}")
    before = tracker.tickets(), tracker.events()
    tracker.stop()
    tracker.start()
    assert (tracker.tickets(), tracker.events()) == before
    assert send(tracker, event(), "evt_2") == 200
    assert len(tracker.events()) == 3


@pytest.mark.parametrize("rest", ['{"order": 2, "webhook_id": "evt_2", "bo', '{"order": 2}', "\0" * 50, "\\ud83d"])
def test_a_last_line_that_a_crash_left_half_written_is_cut_off(tracker: RunningTracker, rest: str) -> None:
    send(tracker, event())
    tracker.stop()
    log = tracker.folder / "events.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + rest.encode())
    tracker.start()
    assert log.read_bytes() == whole
    assert send(tracker, event("TS-2"), "evt_2") == 200
    tracker.stop()
    tracker.start()
    assert [kept["webhook_id"] for kept in tracker.events()] == ["evt_1", "evt_2"]


def test_a_damaged_line_in_the_middle_is_said_and_not_passed_over(tracker: RunningTracker) -> None:
    send(tracker, event())
    tracker.stop()
    log = tracker.folder / "events.jsonl"
    log.write_bytes(b"rubbish\n" + log.read_bytes())
    with pytest.raises(BadSetting, match="line 1, is damaged"):
        tracker.start()
    assert log.read_bytes().startswith(b"rubbish\n")


def test_a_full_disk_is_503_and_leaves_no_half_line(tracker: RunningTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    send(tracker, event())
    true_write = os.write

    def none_left(handle: int, data: bytes) -> int:
        true_write(handle, bytes(data)[:30])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.devtracker_tickets.os.write", none_left)
        assert send(tracker, event(), "evt_2") == 503
    assert send(tracker, event(), "evt_2") == 200
    tracker.stop()
    tracker.start()
    assert [(kept["order"], kept["webhook_id"]) for kept in tracker.events()] == [(1, "evt_1"), (2, "evt_2")]


def test_nothing_is_answered_200_that_is_not_on_disk(tracker: RunningTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.devtracker_tickets.os.fsync", broken)
        assert send(tracker, event()) == 503
    assert tracker.events() == []
    assert (tracker.folder / "events.jsonl").read_bytes() == b""


def test_what_it_keeps_is_for_its_owner_alone(tracker: RunningTracker) -> None:
    assert stat.S_IMODE((tracker.folder / "events.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE(tracker.folder.stat().st_mode) == 0o700


def test_it_refuses_what_it_cannot_serve(tracker: RunningTracker, tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "no such host"):
        with pytest.raises(BadSetting, match="not a loopback address"):
            Server(host, 0, SECRET, tmp_path / "a", PAGE_TOKEN)
    with pytest.raises(BadSetting, match="cannot be listened on"):
        Server("127.0.0.1", tracker.port, SECRET, tmp_path / "a", PAGE_TOKEN)
    with pytest.raises(BadSetting, match="already using"):
        Server("127.0.0.1", 0, SECRET, tracker.folder, PAGE_TOKEN)
    for secret in ("", "whsec_", "whsec_!!", "whsec_" + base64.b64encode(bytes(65)).decode(), base64.b64encode(bytes(32)).decode()):
        with pytest.raises(BadSetting, match="must be whsec_"):
            Server("127.0.0.1", 0, secret, tmp_path / "a", PAGE_TOKEN)
    with pytest.raises(BadSetting, match="page_token"):
        Server("127.0.0.1", 0, SECRET, tmp_path / "a", "")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_cleanly_on_a_signal(tmp_path: Path, sign: int) -> None:
    program = (
        "import pathlib, sys; from gateway.devtracker import serve; told = lambda *address: print(*address, flush=True); "
        f"serve('127.0.0.1', 0, {SECRET!r}, pathlib.Path(sys.argv[1]), 't', told); print('ended')"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("127.0.0.1 ")
        process.send_signal(sign)
        out, err = process.communicate(timeout=15)
    assert (process.returncode, out, err) == (0, "ended\n", "")
