"""The door for mail under bad luck and bad company: what was answered 250 is in the store, and nobody can keep the others out."""

from __future__ import annotations

import smtplib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from factories import mail
from fakes import Meeting, eventually
from running import RunningGateway

from models.errors import TryLater
from models.submission import Submission

SECONDS = 20
ENVELOPE = b"EHLO mail.example\r\nMAIL FROM:<a@mail.example>\r\nRCPT TO:<b@jiesu.example>\r\nDATA\r\n"


class Raw:
    """A client that sends what it likes."""

    def __init__(self, address: tuple[str, int], source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(address, timeout=SECONDS, source_address=(source, 0))
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def line(self) -> str:
        """The next line, empty at the end of the connection."""
        try:
            return self.file.readline().decode().strip()
        except ConnectionResetError:
            return ""

    def data(self) -> None:
        """Goes so far that the mail itself is awaited."""
        self.socket.sendall(ENVELOPE)
        while not self.line().startswith("354"):
            pass

    def vanish(self) -> None:
        """Ends the connection as a crashed machine does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.file.close()
        self.socket.close()


@contextmanager
def client(gateway: RunningGateway, source: str = "127.0.0.1") -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*gateway.smtp, local_hostname="mail.example", timeout=SECONDS, source_address=(source, 0)) as connected:
        yield connected


def send(connected: smtplib.SMTP, raw: bytes) -> tuple[int, str]:
    """The answer to the mail itself."""
    connected.ehlo_or_helo_if_needed()
    connected.mail("a@mail.example")
    connected.rcpt("b@jiesu.example")
    code, text = connected.data(raw)
    return code, text.decode()


def test_what_cannot_be_taken_in_now_is_put_off_and_nothing_of_it_kept(tmp_path: Path) -> None:
    raw = mail()
    with RunningGateway(tmp_path) as gateway, client(gateway) as connected:

        def fail(_: Submission) -> None:
            raise TryLater("full", "磁盘已满", "disk full")

        gateway.watched.before = fail
        assert send(connected, raw) == (451, "4.3.0 Cannot be taken in now, try again later")
        assert gateway.committed() == []
        gateway.watched.before = lambda _: None
        assert send(connected, raw)[0] == 250
        assert len(gateway.committed()) == 1


def test_a_bug_of_ours_is_451_and_tells_nothing(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway, client(gateway) as connected:

        def fail(submission: Submission) -> None:
            raise ZeroDivisionError("/secret/path 13800004321")

        gateway.watched.before = fail
        assert send(connected, mail()) == (451, "4.3.0 Temporary fault, try again later")
        assert gateway.committed() == []
        # The connection is as good as before.
        gateway.watched.before = lambda _: None
        assert send(connected, mail())[0] == 250


@pytest.mark.parametrize("manner", ["closed", "reset", "half closed"])
def test_who_leaves_after_the_dot_and_comes_again_has_one_complaint(tmp_path: Path, manner: str) -> None:
    raw = mail()
    at_the_commit, go_on = Meeting(), Meeting()

    def wait(_: Submission) -> None:
        at_the_commit.happen()
        go_on.wait()

    with RunningGateway(tmp_path) as gateway:
        gateway.watched.before = wait
        with Raw(gateway.smtp) as leaving:
            leaving.data()
            leaving.socket.sendall(raw + b".\r\n")
            at_the_commit.wait()
            if manner == "reset":
                leaving.vanish()
            elif manner == "half closed":
                leaving.socket.shutdown(socket.SHUT_WR)
        go_on.happen()
        eventually(gateway.committed)
        with client(gateway) as connected:
            assert send(connected, raw) == (250, f"2.0.0 OK {gateway.numbers()[0]}")
        assert len(gateway.committed()) == 1
        assert gateway.log("Duplicate")[0]["number"] == gateway.numbers()[0]


def test_the_answer_that_was_lost_after_the_commit_is_the_same_the_second_time(tmp_path: Path) -> None:
    raw = mail()
    with RunningGateway(tmp_path) as gateway:

        def fail(_: Submission) -> None:
            raise ConnectionError

        gateway.watched.after = fail
        with client(gateway) as connected:
            assert send(connected, raw)[0] == 451
            gateway.watched.after = lambda _: None
            assert send(connected, raw)[1].endswith(gateway.numbers()[0])
        assert len(gateway.committed()) == 1


def test_a_mail_that_drips_is_cut_off_at_its_deadline(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, smtp_data_seconds=1, smtp_idle_seconds=30) as gateway, Raw(gateway.smtp) as slow:
        slow.data()
        begun = time.monotonic()
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.05):
                try:
                    slow.socket.sendall(b"x\r\n")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert slow.line().startswith("421 4.4.2")
        ended.set()
        dripping.join()
        assert 0.8 < time.monotonic() - begun < 10
        assert gateway.committed() == []


@pytest.mark.parametrize("said", [b"", b"EHLO mail.example\r\n", b"half a comm"])
def test_an_idle_connection_is_told_why_it_ends(tmp_path: Path, said: bytes) -> None:
    with RunningGateway(tmp_path, smtp_idle_seconds=0.5) as gateway, Raw(gateway.smtp) as idle:
        idle.socket.sendall(said)
        lines = list(iter(idle.line, ""))
        assert lines[-1].startswith("421 4.4.2")


def test_a_client_that_never_reads_does_not_keep_its_place(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, smtp_idle_seconds=0.5, smtp_max_connections_per_address=1) as gateway, Raw(gateway.smtp) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.socket.settimeout(0.5)
        with pytest.raises(OSError):
            while True:
                deaf.socket.sendall(b"HELP\r\n" * 10_000)

        def taken() -> bool:
            with Raw(gateway.smtp) as other:
                return other.line().startswith("220")

        assert eventually(taken)


def test_the_eleventh_of_one_address_and_the_fifty_first_of_all_are_put_off(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway, ExitStack() as stack:
        ten = [stack.enter_context(Raw(gateway.smtp)) for _ in range(10)]
        assert all(one.line().startswith("220") for one in ten)
        with Raw(gateway.smtp) as eleventh:
            assert eleventh.line().startswith("421 4.7.0")
            assert eleventh.line() == ""
        forty = [stack.enter_context(Raw(gateway.smtp, f"127.0.0.{n}")) for n in range(2, 6) for _ in range(10)]
        assert all(one.line().startswith("220") for one in forty)
        with Raw(gateway.smtp, "127.0.0.6") as too_many:
            assert too_many.line().startswith("421 4.3.2")
        # Those that are refused count for nothing, and a place that becomes free is free at once.
        ten[0].socket.sendall(b"QUIT\r\n")
        assert ten[0].line().startswith("221")
        assert ten[0].line() == ""

        def has_room() -> bool:
            with Raw(gateway.smtp) as next_one:
                return next_one.line().startswith("220")

        assert eventually(has_room)


def test_only_the_named_relays_may_connect(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, smtp_trusted_relays="10.0.0.0/8,127.0.0.9") as gateway:
        with Raw(gateway.smtp) as stranger:
            assert stranger.line().startswith("421 4.7.1")
            assert stranger.line() == ""
        with client(gateway, "127.0.0.9") as relay:
            assert send(relay, mail())[0] == 250


def test_who_waits_for_a_commit_while_the_gateway_stops_still_gets_its_250(tmp_path: Path) -> None:
    at_the_commit, go_on = Meeting(), Meeting()

    def wait(_: Submission) -> None:
        at_the_commit.happen()
        go_on.wait()

    with RunningGateway(tmp_path) as gateway, Raw(gateway.smtp) as waiting, Raw(gateway.smtp) as idle, Raw(gateway.smtp) as writing:
        gateway.watched.before = wait
        assert idle.line().startswith("220")
        writing.data()
        waiting.data()
        waiting.socket.sendall(mail() + b".\r\n")
        at_the_commit.wait()
        gateway.begin_to_stop()
        # Those that wait for nothing are told to come back.
        assert idle.line().startswith("421 4.3.2")
        assert writing.line().startswith("421 4.3.2")
        with pytest.raises(OSError):
            Raw(gateway.smtp)
        assert gateway.running
        go_on.happen()
        assert waiting.line() == f"250 2.0.0 OK {eventually(gateway.numbers)[0]}"  # type: ignore[index]
        assert waiting.line().startswith("421 4.3.2")
        assert waiting.line() == ""
        gateway.stop()


def test_nothing_that_was_acknowledged_while_the_gateway_stopped_is_lost(tmp_path: Path) -> None:
    told: list[str] = []
    enough = Meeting()

    def keep_sending(gateway: RunningGateway, source: str) -> None:
        try:
            with client(gateway, source) as connected:
                while True:
                    code, text = send(connected, mail())
                    if code == 250:
                        told.append(text.rpartition(" ")[2])
                    if len(told) > 20:
                        enough.happen()
        except (OSError, smtplib.SMTPException):
            return

    with RunningGateway(tmp_path) as gateway, ThreadPoolExecutor(8) as threads:
        sending = [threads.submit(keep_sending, gateway, f"127.0.0.{n}") for n in range(1, 9)]
        enough.wait()
        gateway.stop()
        for one in sending:
            one.result(SECONDS)
        assert set(told) <= set(gateway.numbers())
        assert len(set(told)) == len(told)


def test_twenty_clients_at_once_each_get_numbers_of_their_own(tmp_path: Path) -> None:
    def ten_mails(gateway: RunningGateway, n: int) -> list[tuple[str, bytes]]:
        with client(gateway, f"127.0.0.{n % 4 + 1}") as connected:
            mails = [mail(subject=f"{n}-{m}") for m in range(10)]
            answers = [send(connected, raw) for raw in mails]
        assert all(code == 250 for code, _ in answers)
        return [(text.rpartition(" ")[2], raw) for (_, text), raw in zip(answers, mails, strict=True)]

    with RunningGateway(tmp_path) as gateway, ThreadPoolExecutor(20) as threads:
        told = dict(pair for one in [threads.submit(ten_mails, gateway, n) for n in range(20)] for pair in one.result(60))
        assert len(told) == 200
        kept = dict(zip(gateway.numbers(), (one.raw for one in gateway.committed()), strict=True))
        assert kept == told
        # Far fewer transactions than mails: those that came at once were committed together.
        assert gateway.app.metrics.registry.get_sample_value("jiesu_commit_group_size_count") < 200
