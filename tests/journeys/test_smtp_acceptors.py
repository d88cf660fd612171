"""Several processes that take mail in, and a store that fails for real: what was answered 250 is there, and nothing else was promised."""

from __future__ import annotations

import os
import resource
import signal
import smtplib
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from factories import mail
from fakes import eventually
from running import RunningGateway

from gateway import home
from gateway.acceptors import Acceptors

SECONDS = 20


def send(gateway: RunningGateway, raw: bytes, source: str = "127.0.0.1") -> tuple[int, str]:
    with smtplib.SMTP(*gateway.smtp, local_hostname="mail.example", timeout=SECONDS, source_address=(source, 0)) as connected:
        connected.ehlo()
        connected.mail("a@mail.example")
        connected.rcpt("b@jiesu.example")
        code, text = connected.data(raw)
        return code, text.decode()


def acceptors(gateway: RunningGateway) -> Acceptors:
    door = gateway.door
    assert isinstance(door, Acceptors)
    return door


def test_mail_goes_through_all_processes_and_is_kept_whole(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, smtp_acceptors=2) as gateway, ThreadPoolExecutor(8) as threads:
        raws = [mail(subject=f"n{n}") + b"." * n + b"\r\n" for n in range(24)]
        answers = list(threads.map(lambda pair: send(gateway, pair[1], f"127.0.0.{pair[0] % 6 + 1}"), enumerate(raws)))
        assert {code for code, _ in answers} == {250}
        kept = dict(zip(gateway.numbers(), (one.raw for one in gateway.committed()), strict=True))
        assert kept == {text.rpartition(" ")[2]: raw for (_, text), raw in zip(answers, raws, strict=True)}
        assert gateway.committed()[0].envelope["peer"].startswith("127.0.0.")
        # The same mail again is the same complaint, whichever process hears it.
        assert send(gateway, raws[0])[1] == answers[0][1]
        assert len(acceptors(gateway).pids) == 2


def test_the_limits_of_connections_hold_over_all_processes(tmp_path: Path) -> None:
    settings = {"smtp_acceptors": 2, "smtp_max_connections": 5, "smtp_max_connections_per_address": 3}
    with RunningGateway(tmp_path, **settings) as gateway, ExitStack() as stack:

        def connect(source: str) -> smtplib.SMTP:
            return smtplib.SMTP(*gateway.smtp, timeout=SECONDS, source_address=(source, 0))

        mine = [stack.enter_context(connect("127.0.0.1")) for _ in range(3)]
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            connect("127.0.0.1")
        assert refused.value.smtp_code == 421
        assert b"4.7.0" in refused.value.smtp_error
        others = [stack.enter_context(connect("127.0.0.2")) for _ in range(2)]
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            connect("127.0.0.3")
        assert b"4.3.2" in refused.value.smtp_error
        others[0].quit()
        mine[0].quit()

        def room() -> bool:
            try:
                connect("127.0.0.1").quit()
            except smtplib.SMTPException:
                return False
            return True

        assert eventually(room)


def test_a_killed_process_loses_nothing_that_was_acknowledged_and_is_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    stop = threading.Event()

    def keep_sending(gateway: RunningGateway, source: str) -> None:
        while not stop.is_set():
            try:
                code, text = send(gateway, mail(), source)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)
                continue
            if code == 250:
                told.append(text.rpartition(" ")[2])

    with RunningGateway(tmp_path, smtp_acceptors=2) as gateway, ThreadPoolExecutor(4) as threads:
        sending = [threads.submit(keep_sending, gateway, f"127.0.0.{n}") for n in range(1, 5)]
        try:
            for _ in range(2):
                before = len(told)
                assert eventually(lambda b=before: len(told) > b + 10)
                killed = acceptors(gateway).pids[0]
                os.kill(killed, signal.SIGKILL)
                assert eventually(lambda k=killed: k not in acceptors(gateway).pids and len(acceptors(gateway).pids) == 2, 30)
        finally:
            stop.set()
        for one in sending:
            one.result(SECONDS)
        assert len(told) > 20
        assert set(told) <= set(gateway.numbers())
        assert len(gateway.log("AcceptorEnded")) == 2
        # No place is lost with the connections that were.
        assert eventually(lambda: acceptors(gateway)._callers.by_address.total() == 0)


def test_the_processes_end_with_the_gateway(tmp_path: Path) -> None:
    def gone(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    with RunningGateway(tmp_path, smtp_acceptors=2) as gateway:
        pids = acceptors(gateway).pids
        idle = smtplib.SMTP(*gateway.smtp, timeout=SECONDS)
        gateway.stop()
        # Who was connected is told to come back.
        assert idle.getreply()[0] == 421
        idle.close()
        assert all(gone(pid) for pid in pids)


def test_a_locked_store_puts_mail_off_and_takes_it_when_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.engine.BUSY_SECONDS", 0.3)
    raw = mail()
    with RunningGateway(tmp_path) as gateway:
        other = sqlite3.connect(tmp_path / "jiesu.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            assert send(gateway, raw) == (451, "4.3.0 Cannot be taken in now, try again later")
            other.execute("ROLLBACK")
        finally:
            other.close()
        code, text = send(gateway, raw)
        assert (code, text.rpartition(" ")[2]) == (250, gateway.numbers()[0])
        assert len(gateway.committed()) == 1


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 6 MB at the folder; where none may be mounted (a container without the right to), files that cannot grow beyond 2 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, timeout=20).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_puts_mail_off_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk):
        home.prepare(disk)
        with RunningGateway(disk) as gateway:
            assert send(gateway, mail())[0] == 250
            large = mail() + b"x" * 800_000 + b"\r\n"
            kept, codes, text = 1, [], ""
            for n in range(10):
                code, text = send(gateway, large + b"%d\r\n" % n)
                codes.append(code)
                kept += code == 250
            assert set(codes) == {250, 451}
            assert codes[-1] == 451
            assert text == "4.3.0 Cannot be taken in now, try again later"
            assert len(gateway.committed()) == kept
