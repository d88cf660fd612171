"""What the store keeps of tickets in trackers, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.store import trackers
from gateway.store.engine import Store
from gateway.store.trackers import FileRow
from models.remote import FileState, RemoteTicket

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


def test_a_complaint_has_one_ticket_at_an_endpoint(store: Store) -> None:
    with store.write() as conn:
        assert trackers.ticket(conn, "rt", "TS-1") is None
        assert trackers.first_kept(conn, "rt") is None
        trackers.keep_ticket(store, conn, RemoteTicket("rt", "TS-1", "7", "https://x.example/7", unread=True), NOW)
        trackers.keep_ticket(store, conn, RemoteTicket("redmine", "TS-1", "7", ""), NOW + timedelta(days=1))
        assert trackers.ticket(conn, "rt", "TS-1") == RemoteTicket("rt", "TS-1", "7", "https://x.example/7", unread=True)
        assert [one.endpoint for one in trackers.tickets_of(conn, "TS-1")] == ["redmine", "rt"]
        assert [one.remote_id for one in trackers.unread(conn, "rt", 10)] == ["7"]
        # A deleted one is made anew.
        trackers.keep_ticket(store, conn, RemoteTicket("rt", "TS-1", "8", ""), NOW)
        trackers.set_status(conn, "rt", "TS-1", "resolved")
        assert trackers.by_remote(conn, "rt", ["7", "8", *map(str, range(100, 1200))]) == {
            "8": RemoteTicket("rt", "TS-1", "8", "", "resolved")
        }
        trackers.keep_ticket(store, conn, RemoteTicket("rt", "TS-2", "9", "", unread=True), NOW)
        trackers.have_read(conn, "rt", ["9"])
        assert trackers.unread(conn, "rt", 10) == []
        assert trackers.first_kept(conn, "rt") == NOW


def test_what_became_of_files(store: Store) -> None:
    with store.write() as conn:
        trackers.keep_file(store, conn, "rt", "TS-1", "a" * 32, FileRow(FileState.WAITING, 1, "500"))
        trackers.keep_file(store, conn, "rt", "TS-1", "a" * 32, FileRow(FileState.TAKEN, 2, ""))
        trackers.keep_file(store, conn, "redmine", "TS-1", "a" * 32, FileRow(FileState.REFUSED, 1, "太大"))
        assert trackers.files(conn, "rt", "TS-1") == {"a" * 32: FileRow(FileState.TAKEN, 2, "")}
        assert trackers.files(conn, "rt", "TS-2") == {}
        trackers.forget_files(conn, "rt", "TS-1")
        assert trackers.files(conn, "rt", "TS-1") == {}
        assert trackers.files(conn, "redmine", "TS-1")


def test_one_node_asks_at_a_time_and_its_mark_goes_on(store: Store) -> None:
    def hold(node: str, at: datetime) -> str | None:
        with store.write() as conn:
            return trackers.hold(store, conn, "rt", node, at, at + timedelta(minutes=3))

    assert hold("a", NOW) == ""
    assert hold("b", NOW) is None
    assert hold("a", NOW + timedelta(minutes=2)) == ""
    with store.write() as conn:
        assert trackers.failed(conn, "rt", "timeout", "超时", "timed out", NOW).failures == 1
        health = trackers.failed(conn, "rt", "away", "不在", "away", NOW + timedelta(minutes=1))
        assert (health.failures, health.failing_since, health.code) == (2, NOW, "away")
        trackers.succeeded(conn, "rt", "mark-1", NOW + timedelta(minutes=2))
        assert trackers.health(conn)["rt"].failures == 0
        assert trackers.health(conn)["rt"].failing_since is None
    # A dead node's lease ends.
    assert hold("b", NOW + timedelta(minutes=6)) == "mark-1"
    with store.write() as conn:
        trackers.let_go(conn, "rt", "a")
    assert hold("a", NOW + timedelta(minutes=6)) is None
    with store.write() as conn:
        trackers.let_go(conn, "rt", "b")
    assert hold("a", NOW + timedelta(minutes=6)) == "mark-1"
    with store.write() as conn:
        trackers.release_all(conn)
    assert hold("c", NOW) == "mark-1"
