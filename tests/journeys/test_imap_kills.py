"""`kill -9` of the whole gateway while it empties a mailbox on a real server: each mail becomes one complaint, whenever the kill falls."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from dovecot import Dovecot
from fakes import eventually
from imap_house import box, letter, settings, user
from serving import Serving
from sqlalchemy import select
from trackers import RunningTracker

from gateway.store.engine import Store
from models.tables import submissions

MAILS, KILLS = 120, 4


def taken(home: Path) -> list[str]:
    """The last word of every mail that is in the store; none where the kill came before there was one."""
    if not (home / "jiesu.db").exists():
        return []
    store = Store(f"sqlite:///{home / 'jiesu.db'}", checkpoints=False)
    try:
        with store.read() as conn:
            return [bytes(raw).split()[-1].decode() for raw in conn.execute(select(submissions.c.raw)).scalars()]
    finally:
        store.close()


@pytest.mark.slow
def test_a_gateway_killed_again_and_again_takes_each_mail_once(mail_server: Dovecot, tmp_path: Path) -> None:
    who, dice = user(), random.Random(20261129)
    home = settings(tmp_path / "home", box(mail_server, who, backfill="all"))
    names = [f"letter-{n}" for n in range(MAILS)]
    with mail_server.person(who) as person:
        for name in names[: MAILS // 2]:
            person.arrive(letter(name))
    caught = []
    with RunningTracker() as tracker:
        for kill in range(KILLS):
            serving = Serving(home, tracker)
            try:
                # Mail goes on coming while it runs.
                with mail_server.person(who) as person:
                    share = MAILS // 2 // KILLS
                    for name in names[MAILS // 2 + kill * share :][:share]:
                        person.arrive(letter(name))
                time.sleep(dice.uniform(0.0, 0.6))
            finally:
                serving.process.kill()
                serving.process.wait(20)
                (home / "serve.json").unlink(missing_ok=True)
            caught.append(len(taken(home)))
        serving = Serving(home, tracker)
        try:
            eventually(lambda: len(taken(home)) >= MAILS, 60)
            eventually(lambda: len(tracker.tickets()) >= MAILS, 60)
            # Whatever is offered a second time would have come by now.
            time.sleep(1.5)
        finally:
            serving.process.terminate()
            serving.process.wait(40)
        tickets = tracker.tickets()
    assert Counter(taken(home)) == Counter(dict.fromkeys(names, 1))
    assert Counter(ticket["ticket"]["matter"].split()[-1] for ticket in tickets) == Counter(dict.fromkeys(names, 1))
    # The kills fell while it was at work, or they would show nothing.
    assert any(0 < count < MAILS for count in caught), caught
