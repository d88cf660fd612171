"""What a mailbox keeps, on each kind of database: each mail once, though we crash in between and the server counts anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from imap_house import letter
from imap_rig import Rig
from imap_server import ImapServer

from gateway.store import mailboxes
from gateway.store.engine import Store


class _CrashError(Exception):
    """The process is gone."""


@pytest.fixture
def server() -> Iterator[ImapServer]:
    with ImapServer() as running:
        yield running


@pytest.fixture
def rig(server: ImapServer, store: Store, tmp_path: Path) -> Iterator[Rig]:
    with Rig(server, tmp_path, store=store) as made:
        yield made


def test_a_crash_between_commit_and_ledger_makes_no_second_complaint(server: ImapServer, rig: Rig) -> None:
    uids = [server.arrive(letter(f"mail {n}")) for n in range(3)]

    def crash() -> None:
        raise _CrashError

    rig.after_commit = crash
    with pytest.raises(_CrashError):
        rig.look()
    assert len(rig.committed()) == 1
    # The ledger does not know yet.
    assert rig.lines().get(uids[0], ("", "", 0))[0] != "taken"
    rig.after_commit = lambda: None
    rig.restart()
    assert rig.look() == ""
    assert {uid: line[0] for uid, line in rig.lines().items()} == dict.fromkeys(uids, "taken")
    assert len(rig.committed()) == 3
    assert len(rig.told("Duplicate")) == 1


def test_new_uids_and_expunged_mails_make_no_second_complaint(server: ImapServer, rig: Rig) -> None:
    uids = [server.arrive(letter(f"mail {n}")) for n in range(4)]
    assert rig.look() == ""
    server.remove(uids[1])
    server.renumber()
    server.arrive(letter("after the reset"))
    rig.restart()
    assert rig.look() == ""
    assert len(rig.committed()) == 5
    assert sorted(line[0] for line in rig.lines().values()) == ["taken"] * 4
    # A second look takes nothing more.
    assert rig.look(everything=True) == ""
    assert len(rig.committed()) == 5


def test_one_node_at_a_time_looks_into_a_mailbox(rig: Rig, store: Store) -> None:
    now, later = rig.clock.now(), rig.clock.now() + timedelta(minutes=5)
    with store.write() as conn:
        assert mailboxes.hold(conn, "box", "one", now, later)
        assert not mailboxes.hold(conn, "box", "two", now, later)
    with store.write() as conn:
        assert mailboxes.hold(conn, "box", "two", later, later + timedelta(minutes=5))
        assert not mailboxes.hold(conn, "box", "one", later, later + timedelta(minutes=5))
