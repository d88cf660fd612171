"""Servers that hang, break off, lie and flood: the mailbox is looked into again, each mail is taken in once, and nothing waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import eventually
from imap_house import letter
from imap_house import settings as homes
from imap_rig import Rig
from imap_server import ImapServer

from connectors.imap import Session
from connectors.imap_troubles import TROUBLES, Trouble
from connectors.imap_wire import StoppingError, Wake
from connectors.mailbox import BACKOFF, MAIL_BACKOFF
from gateway import config
from gateway.clock import SystemClock
from gateway.mailboxes import Mailboxes, is_failing
from gateway.store import mailboxes
from models.errors import TryLater


@pytest.fixture
def server() -> Iterator[ImapServer]:
    with ImapServer() as running:
        yield running


@pytest.fixture
def rig(server: ImapServer, tmp_path: Path) -> Iterator[Rig]:
    with Rig(server, tmp_path, seconds=0.3) as made:
        yield made


def mend(server: ImapServer) -> None:
    server.wrong = type(server.wrong)()


@pytest.mark.parametrize("where", ["greeting", "LOGIN", "ID", "EXAMINE", "FETCH"])
def test_a_server_that_hangs_is_given_up_and_tried_again(server: ImapServer, rig: Rig, where: str) -> None:
    server.arrive(letter())
    server.wrong.hang_at = where
    began = time.monotonic()
    assert rig.look() == "timeout"
    assert time.monotonic() - began < 5
    mend(server)
    assert rig.look() == ""
    assert len(rig.committed()) == 1


@pytest.mark.parametrize(("where", "code"), [("greeting", "closed"), ("LOGIN", "closed"), ("EXAMINE", "closed"), ("FETCH", "closed")])
def test_a_server_that_hangs_up_is_tried_again(server: ImapServer, rig: Rig, where: str, code: str) -> None:
    server.arrive(letter())
    server.wrong.drop_at = where
    assert rig.look() == code
    mend(server)
    assert rig.look() == ""
    assert len(rig.committed()) == 1


@pytest.mark.parametrize("where", ["greeting", "LOGIN", "EXAMINE", "FETCH"])
def test_a_server_that_says_goodbye_is_tried_again(server: ImapServer, rig: Rig, where: str) -> None:
    server.arrive(letter())
    server.wrong.bye_at = where
    assert rig.look() in ("bye", "protocol", "closed")
    mend(server)
    assert rig.look() == ""
    assert len(rig.committed()) == 1


def test_half_a_mail_is_no_mail(server: ImapServer, rig: Rig) -> None:
    raw = letter("墙面渗水" * 100)
    server.arrive(raw)
    server.wrong.half_literals = 2
    assert rig.look() == "closed"
    assert rig.committed() == []
    assert rig.lines() == {1: ("waiting", "broke_off", 1)}
    # Those behind it need not wait for it.
    server.arrive(letter("another"))
    server.wrong.half_literals = 0
    assert rig.look() == ""
    assert [b"another" in one for one in rig.committed()] == [True]
    rig.clock.move(minutes=2)
    assert rig.look() == ""
    assert raw in rig.committed()


def test_a_mail_that_breaks_the_connection_each_time_is_put_aside(server: ImapServer, rig: Rig) -> None:
    poison = server.arrive(letter("poison"))
    server.arrive(letter("good"))
    server.on_fetch = lambda uid: setattr(server.wrong, "half_literals", 1 if uid == poison else 0)
    for _ in range(2 * (len(MAIL_BACKOFF) + 1)):
        rig.look()
        rig.clock.move(hours=3)
    assert [b"good" in one for one in rig.committed()] == [True]
    assert rig.lines()[poison] == ("aside", "broke_off", len(MAIL_BACKOFF) + 1)
    assert [line["uid"] for line in rig.told("MailSetAside")] == [poison]
    # Nobody tries again by himself; a person may.
    server.on_fetch = lambda _: None
    assert rig.look() == ""
    assert len(rig.committed()) == 1
    with rig.store.write() as conn:
        assert mailboxes.try_again(conn, ["box"], rig.clock.now()) == ["box"]
    assert rig.look() == ""
    assert len(rig.committed()) == 2


def test_endless_lines_and_absurd_literals_end_the_connection_and_not_us(server: ImapServer, rig: Rig) -> None:
    server.arrive(letter())
    server.wrong.endless = True
    assert rig.look() == "too_much"
    mend(server)
    server.wrong.huge_literal = 10**15
    assert rig.look() == "too_much"
    assert rig.lines() == {1: ("aside", "too_large", 1)}
    mend(server)
    server.arrive(letter("the next"))
    assert rig.look() == ""
    assert len(rig.committed()) == 1


def test_a_server_that_lies_about_sizes(server: ImapServer, tmp_path: Path) -> None:
    with Rig(server, tmp_path, max_bytes=1000) as rig:
        server.wrong.wrong_size = 10
        server.arrive(letter("墙" * 1000))
        assert rig.look() == ""
        assert rig.lines()[1][:2] == ("aside", "too_large")


def test_a_mail_that_drips_in_has_one_deadline(server: ImapServer, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.imap._FETCH_SECONDS", 0.5)
    server.arrive(letter("墙" * 200))
    server.wrong.drip = 0.02
    began = time.monotonic()
    assert rig.look() == "timeout"
    assert time.monotonic() - began < 4
    assert rig.lines()[1][:2] == ("waiting", "broke_off")


def test_a_mail_that_the_server_refuses_is_tried_again_and_then_put_aside(server: ImapServer, rig: Rig) -> None:
    uids = [server.arrive(letter(str(n))) for n in range(3)]
    server.wrong.refuse_uids = frozenset({uids[1]})
    assert rig.look() == ""
    assert len(rig.committed()) == 2
    assert rig.lines()[uids[1]] == ("waiting", "fetch_refused", 1)
    logins = server.logins
    for _ in MAIL_BACKOFF:
        rig.clock.move(hours=3)
        assert rig.look() == ""
    assert rig.lines()[uids[1]] == ("aside", "fetch_refused", len(MAIL_BACKOFF) + 1)
    # Its refusal is no reason to hang up.
    assert server.logins == logins


def test_a_mail_without_content_is_gone_or_tried_again(server: ImapServer, rig: Rig) -> None:
    uid = server.arrive(letter())
    server.wrong.empty_uids = frozenset({uid})
    assert rig.look() == ""
    assert rig.lines()[uid] == ("waiting", "no_body", 1)
    server.remove(uid)
    rig.clock.move(minutes=2)
    assert rig.look() == ""
    # Somebody deleted it before we had it.
    assert rig.lines()[uid][0] == "gone"
    rig.clock.move(hours=3)
    assert rig.look() == ""


def test_chatter_expunges_and_garbage_between_answers_confuse_nobody(server: ImapServer, rig: Rig) -> None:
    raws = [letter(f"mail {n}") for n in range(5)]
    for raw in raws:
        server.arrive(raw)
    server.wrong.chatter = server.wrong.garble = True
    assert rig.look() == ""
    assert rig.committed() == raws
    assert all(state == "taken" for state, _, _ in rig.lines().values())


def test_163_wants_to_know_who_we_are_before_it_opens_a_folder(server: ImapServer, rig: Rig) -> None:
    server.wrong.no_id = True
    server.arrive(letter())
    assert rig.look() == ""
    assert server.commands.index("ID") < server.commands.index("EXAMINE")
    assert len(rig.committed()) == 1


def test_an_unsafe_login_is_told_as_what_it_is(tmp_path: Path) -> None:
    # A server that wants ID and does not offer it.
    with ImapServer(capabilities="IDLE") as server, Rig(server, tmp_path) as rig:
        server.wrong.no_id = True
        assert rig.look() == "unsafe_login"


def test_search_is_never_believed(server: ImapServer, rig: Rig) -> None:
    server.arrive(letter())
    assert rig.look() == ""
    assert "SEARCH" not in server.commands
    assert len(rig.committed()) == 1


def test_without_uidvalidity_no_mail_could_be_known_again(server: ImapServer, rig: Rig) -> None:
    server.arrive(letter())
    server.wrong.no_uidvalidity = True
    assert rig.look() == "no_validity"
    assert rig.committed() == []


def test_without_uidnext_the_first_start_looks_for_itself(server: ImapServer, tmp_path: Path) -> None:
    with Rig(server, tmp_path, backfill="new") as rig:
        server.wrong.no_uidnext = True
        server.arrive(letter("before"))
        assert rig.look() == ""
        assert rig.committed() == []
        server.arrive(letter("after"))
        assert rig.look() == ""
        assert [b"after" in one for one in rig.committed()] == [True]


def test_a_number_that_is_handed_out_late_is_found(server: ImapServer, rig: Rig) -> None:
    server.arrive(letter("one"))
    late = server.arrive(letter("late"))
    hidden = next(mail for mail in server.mails if mail.uid == late)
    server.mails.remove(hidden)
    server.arrive(letter("three"))
    assert rig.look() == ""
    server.mails.insert(1, hidden)
    assert rig.look() == ""
    assert len(rig.committed()) == 2
    # Compared each hour, and whenever somebody asks.
    rig.clock.move(hours=1)
    assert rig.look() == ""
    assert len(rig.committed()) == 3


def test_the_connection_is_kept_from_look_to_look(server: ImapServer, rig: Rig) -> None:
    for n in range(5):
        server.arrive(letter(str(n)))
        assert rig.look() == ""
    assert server.logins == 1
    assert len(rig.committed()) == 5


def test_idle_wakes_at_once_and_can_be_broken_off(server: ImapServer, rig: Rig) -> None:
    wake = Wake()
    session = Session(rig.imap, lambda: server.password, wake)
    session.select(readonly=True)
    try:
        assert session.idles
        threading.Timer(0.2, lambda: server.arrive(letter())).start()
        began = time.monotonic()
        session.wait(30, wake)
        # A person who wants a look now.
        threading.Timer(0.2, wake.look).start()
        session.wait(30, wake)
        wake.asked = False
        # The time is over.
        session.wait(0.1, wake)
        assert time.monotonic() - began < 10
        # After all that the connection is as good as before.
        assert [mail.uid for mail in session.list(1)] == [1]
        threading.Timer(0.2, wake.stop).start()
        with pytest.raises(StoppingError):
            session.wait(30, wake)
        assert time.monotonic() - began < 10
    finally:
        session.close()
        wake.close()


def test_an_idle_that_is_refused_becomes_polling(server: ImapServer, rig: Rig) -> None:
    wake = Wake()
    session = Session(rig.imap, lambda: server.password, wake)
    session.select(readonly=True)
    server.wrong.refuse_idle = True
    session.wait(30, wake)
    assert not session.idles
    session.wait(0.1, wake)
    session.close()
    wake.close()


def test_a_drop_during_idle_is_seen_at_once(server: ImapServer, rig: Rig) -> None:
    wake = Wake()
    session = Session(rig.imap, lambda: server.password, wake)
    session.select(readonly=True)
    threading.Timer(0.2, server.drop_all).start()
    began = time.monotonic()
    with pytest.raises(Trouble) as told:
        session.wait(30, wake)
    assert told.value.code == "closed"
    assert time.monotonic() - began < 5
    session.close()
    wake.close()


def test_the_folder_that_is_missing_is_named_with_those_that_are_there(server: ImapServer, tmp_path: Path) -> None:
    with Rig(server, tmp_path, imap={"folder": "投诉"}) as rig:
        session = Session(rig.imap, lambda: server.password, rig.wake)
        with pytest.raises(Trouble) as told:
            session.select(readonly=True)
        session.close()
        assert told.value.code == "folder_missing"
        assert "INBOX、垃圾邮件" in told.value.zh


def test_failures_are_told_once_then_hourly(server: ImapServer, rig: Rig) -> None:
    for n in range(5):
        rig.ledger.failed(Trouble("timeout"))
        assert len(rig.told("MailboxFailing")) == (n >= 2)
    rig.clock.move(hours=1)
    rig.ledger.failed(Trouble("timeout"))
    assert len(rig.told("MailboxFailing")) == 2
    with rig.store.read() as conn:
        (health,) = mailboxes.health(conn, ["box"])
    assert is_failing(health, rig.clock.now())
    rig.ledger.succeeded(0)
    assert len(rig.told("MailboxUp")) == 1
    # A slow server counts by time.
    rig.ledger.failed(Trouble("timeout"))
    rig.clock.move(minutes=11)
    rig.ledger.failed(Trouble("timeout"))
    assert len(rig.told("MailboxFailing")) == 3


def test_what_the_server_says_of_itself_stays_out_of_the_log(server: ImapServer, rig: Rig) -> None:
    for _ in range(3):
        rig.ledger.failed(Trouble("login_refused", "tousu@jiesu.example is not known\r\n\x00"))
    assert "jiesu.example" not in rig._stream.getvalue()
    with rig.store.read() as conn:
        assert "tousu@jiesu.example" in mailboxes.health(conn, ["box"])[0].en


def test_every_trouble_has_words_and_every_wait_ends() -> None:
    assert all(zh and en for zh, en in TROUBLES.values())
    assert set(BACKOFF) - {""} <= set(TROUBLES)
    assert all(timedelta(0) < wait <= timedelta(minutes=30) for waits in BACKOFF.values() for wait in waits)


def test_one_node_at_a_time_and_another_takes_over(server: ImapServer, rig: Rig) -> None:
    now, minute = rig.clock.now(), timedelta(minutes=1)
    with rig.store.write() as conn:
        assert mailboxes.hold(conn, "box", "a", now, now + minute)
        assert not mailboxes.hold(conn, "box", "b", now, now + minute)
        assert mailboxes.hold(conn, "box", "a", now + minute / 2, now + 1.5 * minute)
        assert not mailboxes.hold(conn, "box", "b", now + minute, now + 2 * minute)
        # It died.
        assert mailboxes.hold(conn, "box", "b", now + 1.5 * minute, now + 3 * minute)
        assert not mailboxes.hold(conn, "box", "a", now + 1.5 * minute, now + 3 * minute)
        mailboxes.let_go(conn, "box", "b")
        assert mailboxes.hold(conn, "box", "a", now + 1.5 * minute, now + 3 * minute)


def test_a_mail_that_we_fail_at_ourselves_stops_nobody(server: ImapServer, rig: Rig) -> None:
    for n in range(3):
        server.arrive(letter(str(n)))
    commits = iter(range(10))

    def fail() -> None:
        if next(commits) == 1:
            raise TryLater("not_accepted", "出错", "a fault")

    rig.after_commit = fail
    assert rig.look() == ""
    assert [state for state, _, _ in rig.lines().values()] == ["taken", "waiting", "taken"]
    rig.clock.move(minutes=2)
    assert rig.look() == ""
    assert [state for state, _, _ in rig.lines().values()] == ["taken"] * 3
    assert len(rig.committed()) == 3


def test_two_nodes_share_the_mailboxes_and_one_inherits(
    server: ImapServer, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.mailboxes._BEAT_SECONDS", 0.1)
    monkeypatch.setattr("gateway.mailboxes._LEASE", timedelta(seconds=1))
    table = {"name": "shared", "host": "127.0.0.1", "port": server.port, "tls": "none", "user": "tousu", "password": server.password}
    both = config.load({"JIESU_HOME": str(homes(tmp_path / "home", {**table, "backfill": "all", "poll_seconds": 1}))})
    a, b = (Mailboxes(both, rig.store, SystemClock(), rig.log, name) for name in "ab")
    server.arrive(letter("one"))
    a.start(rig.acceptance.accept)
    eventually(lambda: len(rig.committed()) == 1)
    b.start(rig.acceptance.accept)
    # A look that anybody asks for reaches the node that has the mailbox.
    server.arrive(letter("two"))
    b.look("shared", "test")
    eventually(lambda: len(rig.committed()) == 2)
    assert b.health()[0].node == "a"
    assert server.logins == 1
    # It dies: nothing is given back, and the lease ends.
    a._stopping.set()
    for watch in a._watches.values():
        watch.wake.stop()
    eventually(lambda: b.health()[0].node == "b")
    server.arrive(letter("three"))
    eventually(lambda: len(rig.committed()) == 3)
    assert rig.told("Duplicate") == []
    began = time.monotonic()
    b.stop()
    assert time.monotonic() - began < 5
    a.stop()


def test_what_a_form_sends_again_next_month_is_another_mail_and_is_known_under_new_numbers(server: ImapServer, rig: Rig) -> None:
    # Neither Date nor Message-ID nor anything else that tells them apart, as forms on web sites send.
    form = b"From: form@site.example\r\nSubject: lift\r\n\r\nthe lift is broken\r\n"
    server.arrive(form)
    rig.look()
    server.arrive(form)
    server.mails[-1].date = "23-Dec-2026 09:00:00 +0800"
    rig.look()
    assert rig.committed() == [form, form]
    # Weeks later all are offered under new numbers.
    server.validity += 1
    rig.clock.move(days=60)
    rig.restart()
    rig.look()
    assert rig.committed() == [form, form]
