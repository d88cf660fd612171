"""Several gateways on one PostgreSQL: each takes in, either sorts and delivers, and one that dies leaves its work to the other."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes import eventually
from serving import Serving
from trackers import RunningTracker


@pytest.mark.slow
@pytest.mark.postgres
def test_two_nodes_share_the_work_and_one_survives_the_other(tmp_path: Path, postgres_url: str) -> None:
    with RunningTracker() as tracker, ThreadPoolExecutor(2) as threads:
        homes = [tmp_path / "one", tmp_path / "two"]
        for home in homes:
            home.mkdir()
        one, two = threads.map(lambda home: Serving(home, tracker, JIESU_STORE_URL=postgres_url), homes)
        try:
            numbers = {node.mail(f"to {name}", f"退还定金 {n}") for n in range(20) for name, node in (("one", one), ("two", two))}
            assert len(numbers) == 40
            # A sender that lost the answer of one node tries the other: still one complaint.
            assert two.mail("to one", "退还定金 0") in numbers
            eventually(lambda: numbers <= {ticket["number"] for ticket in tracker.tickets()})
            one.process.kill()
            one.process.wait(10)
            more = {two.mail("y", f"墙面开裂 {n}") for n in range(10)}
            eventually(lambda: more <= {ticket["number"] for ticket in tracker.tickets()})
            ids = [event["payload"]["data"]["event_id"] for event in tracker.events()]
            assert len(ids) == len(set(ids)) == 50
            assert len({ticket["ticket"]["idempotency_key"].partition(":")[0] for ticket in tracker.tickets()}) == 1
        finally:
            for node in (one, two):
                if node.process.poll() is None:
                    node.process.send_signal(signal.SIGTERM)
                    node.process.wait(60)
