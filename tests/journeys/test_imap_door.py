"""Mailboxes on a real server: each mail once, whatever people do in the same mailbox, and whatever becomes of the server or of us."""

from __future__ import annotations

import smtplib
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from console_house import person as person_at
from dovecot import PASSWORD, Dovecot
from fakes import eventually
from imap_house import box, health, letter, looked, settings, taken, user
from running import RunningGateway

from connectors import mailbox
from models.errors import TryLater
from models.mailbox import MailState
from models.staff import Role
from models.submission import Channel, Submission


def running(home: Path, *tables: dict[str, Any], **more: Any) -> RunningGateway:
    return RunningGateway(settings(home, *tables), **more)


def test_mail_is_taken_in_by_idle_and_stays_unread(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    with mail_server.person(who) as person:
        person.arrive(letter("was there before"))
        tls = {"port": mail_server.tls, "tls": "tls", "ca_file": str(mail_server.ca)}
        with running(tmp_path, box(mail_server, who, poll_seconds=3600, **tls)) as gateway:
            eventually(lambda: health(gateway, who).up)
            person.arrive(letter("came afterwards"))
            (raw,) = taken(gateway, 1)
            assert b"came afterwards" in raw
            one = gateway.committed()[0]
            assert one.envelope == {
                "door": "imap",
                "mailbox": who,
                "validity": one.envelope["validity"],
                "came_at": one.envelope["came_at"],
                "uid": person.uids()[1],
                "rcpt_tos": [],
            }
            assert all(r"\Seen" not in person.flags(uid) for uid in person.uids())
            # It goes the way of every complaint.
            eventually(lambda: gateway.app.desk.story(gateway.numbers()[0]))
            up = gateway.log("MailboxUp")
            assert [line["mailbox"] for line in up] == [who]
            text = gateway.app.metrics.text().decode()
            assert f'jiesu_mailbox_up{{mailbox="{who}"}} 1.0' in text
            assert f'jiesu_mailbox_failures{{mailbox="{who}"}} 0.0' in text
            began = time.monotonic()
        # IDLE does not hold up the end.
        assert time.monotonic() - began < 8


@pytest.mark.parametrize(("choice", "wanted"), [("new", 0), ("all", 3), ("30", 2)])
def test_the_first_start_takes_in_what_was_chosen(mail_server: Dovecot, tmp_path: Path, choice: str, wanted: int) -> None:
    who = user()
    with mail_server.person(who) as person:
        for days in (400, 20, 0):
            person.arrive(letter(f"{days} days old"), date=time.time() - days * 86_400)
        with running(tmp_path, box(mail_server, who, backfill=choice, idle=False)) as gateway:
            taken(gateway, wanted)
            eventually(lambda: health(gateway, who).up)
            # What comes later is taken in whatever its date: somebody moves an old mail in.
            person.arrive(letter("moved in"), date=time.time() - 1000 * 86_400)
            looked(gateway, who)
            assert len(taken(gateway, wanted + 1)) == wanted + 1
            # By which an old one is not acknowledged as if it had just come.
            assert all(datetime.fromisoformat(one.envelope["came_at"]).tzinfo for one in gateway.committed())
            if choice == "30":
                assert gateway.app.mailboxes.counts()[who] == {"left": 1, "taken": 3}
                # Nothing is lost for good: a person may have the others, too.
                gateway.app.mailboxes.try_again("林树", name=who, left=True)
                taken(gateway, 4)


def test_people_read_move_and_delete_meanwhile(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    with mail_server.person(who) as person:
        person.create("done")
        with running(tmp_path, box(mail_server, who)) as gateway:
            eventually(lambda: health(gateway, who).up)
            for n in range(6):
                person.arrive(letter(f"mail {n}"))
                if n == 2:
                    # Read before we come to it.
                    person.read(person.uids()[-1])
            taken(gateway, 6)
            person.delete(person.uids()[0])
            person.move(person.uids()[0], "done")
            with mail_server.person(who, "done") as other:
                # It comes back under a new number.
                other.move(other.uids()[0], "INBOX")
            person.arrive(letter("mail 6"))
            looked(gateway, who)
            raws = taken(gateway, 7)
            assert sorted(raw.split()[-1] for raw in raws) == [str(n).encode() for n in range(7)]
            assert len(gateway.log("Duplicate")) == 1
            assert len(set(gateway.numbers())) == 7


def test_new_numbers_make_no_new_complaints_and_lose_none(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    table = box(mail_server, who, backfill="new", idle=False)
    with mail_server.person(who) as person:
        person.arrive(letter("was there before the first start"), date=time.time() - 86_400)
    with running(tmp_path, table) as gateway:
        eventually(lambda: health(gateway, who).up)
        with mail_server.person(who) as person:
            for n in range(3):
                person.arrive(letter(f"mail {n}"))
        looked(gateway, who)
        assert len(taken(gateway, 3)) == 3
    mail_server.renumber(who)
    with mail_server.person(who) as person:
        person.arrive(letter("after the reset"))
    with running(tmp_path, table) as gateway:
        looked(gateway, who)
        raws = taken(gateway, 4)
        assert len(raws) == 4
        assert not any(b"before the first start" in raw for raw in raws)
        assert [line["mailbox"] for line in gateway.log("MailboxRenumbered")] == [who]
        # What the first start left out is still left out, and seen.
        assert gateway.app.mailboxes.counts()[who]["left"] == 1


def test_a_mail_that_came_by_smtp_too_is_one(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    raw = letter("by both ways")
    with running(tmp_path, box(mail_server, who)) as gateway:
        eventually(lambda: health(gateway, who).up)
        with smtplib.SMTP(*gateway.smtp, timeout=20) as smtp:
            smtp.sendmail("lin@mail.example", ["tousu@jiesu.example"], raw)
        with mail_server.person(who) as person:
            stamped = (
                b"Return-Path: <lin@mail.example>\r\nReceived: from a by b;\r\n\tMon, 23 Nov 2026 09:00:01 +0800\r\nX-QQ-mid: 1\r\n" + raw
            )
            person.arrive(stamped)
            person.arrive(letter("only here", message_id="<1@mail.example>"))
            person.arrive(letter("the same id again", message_id="<1@mail.example>"))
        raws = taken(gateway, 3)
        looked(gateway, who)
        assert len(raws) == len(gateway.numbers()) == 3
        # What was known already is not told as taken in.
        assert gateway.app.mailboxes.counts()[who] == {"taken": 2, "duplicate": 1}
        assert "新受理 2 封，重复 1 封" in person_at(gateway, "诸葛亮", Role.LEAD).get("/console/mailboxes").text


def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    mail_server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "BACKOFF", {"": mailbox._seconds(0.2)})
    who = user()
    with running(tmp_path, box(mail_server, who)) as gateway:
        eventually(lambda: health(gateway, who).up)
        mail_server.kill()
        try:
            eventually(lambda: health(gateway, who).failures >= 4)
            assert health(gateway, who).code in ("refused", "closed")
            failing = gateway.log("MailboxFailing")
            # Once, not at each try.
            assert [(line["mailbox"], line["failures"]) for line in failing] == [(who, 3)]
            assert gateway.app.mailboxes.warnings() == ([who], [])
        finally:
            mail_server.start()
        eventually(lambda: health(gateway, who).up)
        with mail_server.person(who) as person:
            person.arrive(letter("after the fall"))
        taken(gateway, 1)
        assert len(gateway.log("MailboxUp")) == 2
        assert gateway.app.mailboxes.warnings() == ([], [])


@pytest.mark.parametrize("after", ["flag", "move"])
def test_a_mail_is_moved_or_flagged_only_when_it_is_safe(mail_server: Dovecot, tmp_path: Path, after: str) -> None:
    who = user()
    with mail_server.person(who) as person, running(tmp_path, box(mail_server, who, after=after, after_folder="已受理")) as gateway:
        eventually(lambda: health(gateway, who).up)
        held = threading.Event()
        seen: list[bool] = []

        def before(_: Submission) -> None:
            seen.append(len(person.uids()) == 1 and "jiesu" not in person.flags(person.uids()[0]))
            if not held.is_set():
                held.set()
                raise TryLater("store_busy", "忙", "busy")

        gateway.watched.before = before
        person.arrive(letter())
        taken(gateway, 1)
        assert seen == [True, True]
        if after == "flag":
            eventually(lambda: "jiesu" in person.flags(person.uids()[0]))
        else:
            eventually(lambda: person.uids() == [])
        looked(gateway, who)
        assert len(taken(gateway, 1)) == 1


def test_a_mail_that_cannot_be_moved_is_not_taken_in_again(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    # No folder of this name can be made: it has a character that the server keeps for itself.
    table = box(mail_server, who, after="move", after_folder="a/b")
    with mail_server.person(who) as person, running(tmp_path, table) as gateway:
        eventually(lambda: health(gateway, who).up)
        person.arrive(letter())
        taken(gateway, 1)
        eventually(lambda: gateway.log("MailNotMoved"))
        looked(gateway, who)
        looked(gateway, who)
        assert len(taken(gateway, 1)) == 1
        assert gateway.log("Duplicate") == []
        assert gateway.app.mailboxes.counts()[who] == {"taken": 1, "failed": 1}


def test_a_mail_that_is_too_large_is_put_aside_and_stops_nobody(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    with mail_server.person(who) as person, running(tmp_path, box(mail_server, who, max_bytes=2000)) as gateway:
        eventually(lambda: health(gateway, who).up)
        person.arrive(letter("墙" * 2000))
        person.arrive(letter("small"))
        (raw,) = taken(gateway, 1)
        assert b"small" in raw
        ((name, entry),) = gateway.app.mailboxes.not_taken()
        assert (name, entry.state, entry.code) == (who, MailState.ASIDE, "too_large")
        assert [line["code"] for line in gateway.log("MailSetAside")] == ["too_large"]
        assert health(gateway, who).up


def test_one_bad_mailbox_stops_nobody(mail_server: Dovecot, tmp_path: Path) -> None:
    bad, other, good = user(), user(), user()
    tables = (
        box(mail_server, bad, password="wrong"),
        {**box(mail_server, other), "password": "", "password_file": "secrets/none"},
        box(mail_server, good),
    )
    with mail_server.person(good) as person, running(tmp_path, *tables) as gateway:
        eventually(lambda: health(gateway, good).up and health(gateway, bad).failures and health(gateway, other).failures)
        person.arrive(letter())
        taken(gateway, 1)
        assert health(gateway, bad).code == "login_refused"
        assert "授权码" in health(gateway, bad).zh
        assert health(gateway, other).code == "no_secret"
        # The password is mended, and nobody need wait for the next try.
        (tmp_path / "secrets" / "none").write_text(PASSWORD, "utf-8")
        (tmp_path / "secrets" / "none").chmod(0o600)
        looked(gateway, other)


def test_a_store_that_is_away_leaves_mails_where_they_are(mail_server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "BACKOFF", {**mailbox.BACKOFF, "store_unavailable": mailbox._seconds(0.1)})
    who = user()
    with mail_server.person(who) as person, running(tmp_path, box(mail_server, who)) as gateway:
        eventually(lambda: health(gateway, who).up)
        refusals = iter(range(3))

        def away(_: Submission) -> None:
            if next(refusals, None) is not None:
                raise TryLater("store_busy", "忙", "busy")

        gateway.watched.before = away
        person.arrive(letter())
        taken(gateway, 1)
        # The mail is not to blame.
        assert gateway.app.mailboxes.not_taken() == []
        eventually(lambda: health(gateway, who).up)
        assert health(gateway, who).code == "store_unavailable"


def test_a_crash_between_acceptance_and_ledger_makes_no_second_complaint(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    table = box(mail_server, who)
    with mail_server.person(who) as person:
        with running(tmp_path, table) as gateway:
            eventually(lambda: health(gateway, who).up)

            def after(_: Submission) -> None:
                raise MemoryError

            gateway.watched.after = after
            person.arrive(letter())
            taken(gateway, 1)
            eventually(lambda: health(gateway, who).code == "fault")
        with running(tmp_path, table) as gateway:
            looked(gateway, who)
            assert len(taken(gateway, 1)) == 1
            assert len(gateway.log("Duplicate")) == 1
            assert gateway.app.mailboxes.counts()[who] == {"taken": 1}


def test_a_bounce_in_a_mailbox_is_known_as_one(mail_server: Dovecot, tmp_path: Path) -> None:
    who = user()
    with mail_server.person(who) as person, running(tmp_path, box(mail_server, who)) as gateway:
        eventually(lambda: health(gateway, who).up)
        person.arrive(b"Return-Path: <>\r\n" + letter())
        taken(gateway, 1)
        (one,) = gateway.committed(Channel.EMAIL)
        assert one.envelope["mail_from"] == ""
        assert one.raw.startswith(b"Return-Path: <>")
