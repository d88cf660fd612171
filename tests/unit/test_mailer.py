"""The mailer against a real mail server that fails in each way that one can, and never hangs or raises."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from mailboxes import PASSWORD, USER, MailServer, certificate

from benchmarks.programs import free_port
from gateway.mailer import MailServer as Server
from gateway.mailer import SmtpMailer, trust
from models.answer import AFTER_MAIL, Letter, MailCode
from models.errors import BadSetting

LETTER = Letter("tousu@jiesu.example", "lin@mail.example", b"Subject: x\r\nMessage-ID: <1@jiesu.example>\r\n\r\n.\r\n..leading dots\r\n")


def mailer(port: int, **more: object) -> SmtpMailer:
    base = Server("localhost", port, "starttls", str(certificate()[0]), USER, lambda: PASSWORD, "jiesu.example", 3)
    return SmtpMailer(replace(base, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("tls", ["starttls", "implicit", "none"])
def test_letters_are_taken_over_one_connection(tls: str) -> None:
    with MailServer(tls=tls, auth=tls != "none") as server:
        more = {"username": ""} if tls == "none" else {}
        outcomes = mailer(server.port, tls=tls, **more).send([LETTER, replace(LETTER, rcpt_to="wang@mail.example"), LETTER])
    assert [one.code for one in outcomes] == [MailCode.ACCEPTED] * 3
    assert [one.rcpt_tos for one in server.taken] == [["lin@mail.example"], ["wang@mail.example"], ["lin@mail.example"]]
    # Byte for byte, dots included.
    assert server.taken[0].raw == LETTER.raw
    assert server.connections == 1


# What the server says at which command, and what it means for this letter.
REFUSALS = [
    ("RCPT", "550 5.1.1 no such box", MailCode.REFUSED, 550),
    ("RCPT", "450 4.2.1 greylisted", MailCode.DEFERRED, 450),
    ("DATA", "554 5.7.1 spam", MailCode.REFUSED, 554),
    ("DOT", "554 5.7.1 spam", MailCode.REFUSED, 554),
    ("DOT", "452 4.3.1 disk full", MailCode.DEFERRED, 452),
    ("MAIL", "553 5.7.1 not your address", MailCode.NOT_LET_IN, 553),
    ("MAIL", "421 4.3.2 shutting down", MailCode.DEFERRED, 421),
    ("AUTH", "535 5.7.8 wrong password", MailCode.NOT_LET_IN, 535),
    ("AUTH", "454 4.7.0 later", MailCode.DEFERRED, 454),
]


@pytest.mark.parametrize(("command", "said", "code", "status"), REFUSALS)
def test_what_a_refusal_means(command: str, said: str, code: MailCode, status: int) -> None:
    # A second way to log in is tried where the first was refused.
    answers = {command: [said] * (2 if command == "AUTH" else 1)}
    with MailServer(answers=answers) as server:
        first, second = mailer(server.port).send([LETTER, LETTER])
    assert (first.code, first.status) == (code, status)
    assert said[4:] in first.said
    # The next letter of the batch is not harmed by it, unless nobody is let in at all.
    assert second.code is (code if command == "AUTH" else MailCode.ACCEPTED)


def test_a_connection_that_is_cut_after_the_dot_is_unclear_and_the_next_letter_goes() -> None:
    with MailServer(cut_after_dot=1) as server:
        first, second = mailer(server.port).send([LETTER, LETTER])
    assert (first.code, second.code) == (MailCode.LOST, MailCode.ACCEPTED)
    assert len(server.taken) == 2


@pytest.mark.parametrize("command", ["EHLO", "DATA"])
def test_a_server_that_hangs_is_left_in_time(command: str) -> None:
    started = time.monotonic()
    with MailServer(hang_at=command) as server:
        outcomes = mailer(server.port, timeout_seconds=0.7).send([LETTER])
    assert outcomes[0].code is MailCode.TIMEOUT
    assert time.monotonic() - started < 5


@contextmanager
def listening(talk) -> Iterator[int]:
    """A server of a few lines that is none of SMTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def _drips(connection: socket.socket) -> None:
    # A byte now and then keeps every single wait short.
    try:
        for _ in range(40):
            connection.sendall(b"2")
            time.sleep(0.1)
    except OSError:
        pass


def test_a_server_that_drips_is_left_in_time_too() -> None:
    started = time.monotonic()
    with listening(_drips) as port:
        (outcome,) = mailer(port, timeout_seconds=0.7).send([LETTER])
    assert outcome.code is MailCode.TIMEOUT
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"554 go away\r\n", b"\xff\xfe\r\n", b"x" * 100_000])
def test_what_is_no_mail_server_raises_nothing(said: bytes) -> None:
    with listening(lambda connection: connection.sendall(said)) as port:
        (outcome,) = mailer(port, timeout_seconds=2).send([LETTER])
    assert outcome.code in (MailCode.LOST, MailCode.NOT_LET_IN, MailCode.AWAY, MailCode.TIMEOUT)
    assert AFTER_MAIL[outcome.code].value == "retry"


def test_nobody_listens() -> None:
    outcomes = mailer(free_port()).send([LETTER, LETTER])
    assert [one.code for one in outcomes] == [MailCode.AWAY] * 2
    assert mailer(1, host="no-such-host.invalid").send([LETTER])[0].code is MailCode.AWAY
    assert mailer(1).send([]) == []


def test_nothing_is_said_in_clear_where_tls_is_wanted() -> None:
    with MailServer(offers_tls=False, auth=False) as server:
        assert mailer(server.port).send([LETTER])[0].code is MailCode.NOT_SECURE
    with MailServer() as server:
        # Signed by nobody whom this machine trusts, or for another name.
        assert mailer(server.port, tls_ca="").send([LETTER])[0].code is MailCode.NOT_SECURE
        assert mailer(server.port, host="127.0.0.2").send([LETTER])[0].code in (MailCode.NOT_SECURE, MailCode.AWAY)
    assert server.taken == []
    with pytest.raises(BadSetting, match=r"mail\.tls_ca"):
        trust("starttls", __file__)


def test_a_password_that_cannot_be_read_now_is_asked_for_again_and_nobody_is_rung_before() -> None:
    held: list[str] = []

    def password() -> str:
        if not held:
            raise BadSetting("mail.password", "找不到文件", "there is no file")
        return held[0]

    with MailServer() as server:
        sender = mailer(server.port, password=password)
        first, second = sender.send([LETTER, LETTER])
        assert (first.code, second.code, server.connections) == (MailCode.NOT_LET_IN, MailCode.NOT_LET_IN, 0)
        assert "mail.password" in first.said
        held.append(PASSWORD)
        assert sender.send([LETTER])[0].code is MailCode.ACCEPTED
        # The same of certificates.
        assert mailer(server.port, tls_ca=__file__).send([LETTER])[0].code is MailCode.NOT_LET_IN
    assert len(server.taken) == 1


def test_an_address_beyond_ascii_goes_where_the_server_takes_it() -> None:
    with MailServer() as server:
        (outcome,) = mailer(server.port).send([replace(LETTER, rcpt_to="用户@a.example")])
        assert outcome.code is MailCode.ACCEPTED
    assert server.taken[0].rcpt_tos == ["用户@a.example"]
