"""`python -m benchmarks.queue [--complaints 100000] [--waiting 40000] [--rounds 60]`: how long the review queue's page takes.

A gateway in this process, a store with so many complaints in a temporary folder, a person who is signed in, and requests over HTTP one
after another. Each line of the table is one kind of request.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvloop
from sqlalchemy import insert

from gateway import bootstrap, config
from gateway.bootstrap import App
from gateway.oplog import OperatorLog
from gateway.serve import Addresses, Server
from models.staff import Role
from models.tables import assignments, complaints, messages, submissions, verdicts
from models.verdict import ComplaintClass

_CHUNK = 5000
_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
_SENTENCES = (
    "我家卫生间漏水三个月没有人修，物业和施工单位互相推诿。",
    "销售承诺送的车位没有兑现，合同上也没有写。",
    "置业顾问态度很差，打电话从来不接。",
    "刚买完房就降价二十万，请给一个说法。",
    "客厅地砖空鼓，墙面开裂，请尽快安排维修。",
    "请问收房需要带什么材料，什么时候可以办？",
)


def fill(app: App, count: int, waiting: int) -> None:
    """Writes so many complaints straight into the store, a part of which waits."""
    chance = random.Random(7)
    for first in range(0, count, _CHUNK):
        rows = [_complaint(chance, place, waiting / count) for place in range(first, min(first + _CHUNK, count))]
        with app.store.write() as conn:
            for table, key in ((submissions, "submission"), (complaints, "complaint"), (messages, "message"), (verdicts, "verdict")):
                conn.execute(insert(table), [row[key] for row in rows])
            conn.execute(insert(assignments), [row["assignment"] for row in rows])


def _complaint(chance: random.Random, place: int, share: float) -> dict[str, Any]:
    at = _BEGUN + timedelta(minutes=3 * place)
    number = f"TS-{at:%Y%m%d}-{place % 480 + 1:04d}"
    said = "".join(chance.choice(_SENTENCES) for _ in range(chance.randint(2, 9))) + f"（第{place}件）"
    first, second = chance.sample(list(ComplaintClass), 2)
    risks = [name for name, part in (("safety", 0.01), ("legal", 0.05), ("churn", 0.05)) if chance.random() < part]
    urgency = 2 if "safety" in risks else 1 if risks else 0
    sure = chance.uniform(0.3, 0.9)
    waits = chance.random() < share
    body = {
        "primary": first.value,
        "probabilities": {name.value: sure if name is first else round((1 - sure) / 4, 4) for name in ComplaintClass},
        "secondary": [],
        "decision": "review" if waits else "auto",
        "decision_code": "unsure" if waits else "sure",
        "candidates": [first.value, second.value],
        "risk": risks,
        "reasons": [{"term": "漏水", "weight": 1.2, "spans": [[5, 7]]}, {"term": "合同", "weight": -0.4, "spans": [[12, 14]]}],
        "trained_model": "b" * 12,
        "said": first.value,
        "stated": [0.2] * 5,
        "alone": not waits,
        "audited": None,
    }
    channel = chance.choice(("email", "chat", "phone"))
    return {
        "submission": {
            "id": place + 1,
            "channel": channel,
            "source_key": f"b{place}",
            "number": number,
            "conversation": None,
            "media_type": "message/rfc822",
            "raw": said.encode(),
            "envelope": {},
            "received_at": at,
        },
        "complaint": {
            "number": number,
            "channel": channel,
            "received_at": at,
            "state": "routed",
            "round": 1,
            "title": "投诉",
            "name": chance.choice(("林树", "王静", None)),
            "phone": f"138{place:08d}",
            "klass": first.value,
            "department": "sales",
            "priority": ("normal", "high", "urgent")[urgency],
            "reply_due": at + timedelta(hours=24),
            "triaged_through": place + 1,
            "review_rank": round(10.0 * (2 - urgency) + sure - (1 - sure) / 4, 4) if waits else None,
        },
        "message": {
            "id": place + 1,
            "number": number,
            "submission_id": place + 1,
            "received_at": at,
            "title": "投诉",
            "said": said,
            "text": said,
            "machine": False,
            "parsed": {},
        },
        "verdict": {
            "number": number,
            "at": at,
            "klass": first.value,
            "decision": body["decision"],
            "trained_model": "b" * 12,
            "body": body,
        },
        "assignment": {
            "number": number,
            "at": at,
            "department": "sales",
            "priority": "normal",
            "rule": "by_class",
            "plan_version": "1",
            "body": {
                "department": {"code": "sales", "name": "销售部"},
                "steps": [],
                "priority": "normal",
                "rule": "by_class",
                "plan_version": "1",
            },
        },
    }


@contextmanager
def serving(app: App) -> Iterator[str]:
    """Serves until the end of the block; yields the address."""
    up = threading.Event()
    held: dict[str, Any] = {}

    async def run() -> None:
        held["server"], held["loop"] = Server(app), asyncio.get_running_loop()
        await held["server"].run(ready)

    def ready(addresses: Addresses) -> None:
        held["web"] = addresses.web
        up.set()

    thread = threading.Thread(target=lambda: uvloop.run(run()), daemon=True)
    thread.start()
    assert up.wait(60)
    try:
        yield f"{held['web'][0]}:{held['web'][1]}"
    finally:
        held["loop"].call_soon_threadsafe(held["server"].stop)
        thread.join(60)


def times_of(ask: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each round, after two that do not count."""
    found = []
    for place in range(rounds + 2):
        begun = time.perf_counter()
        ask()
        if place >= 2:
            found.append((time.perf_counter() - begun) * 1000)
    return sorted(found)


def main() -> None:
    """Fills, serves, asks, prints."""
    asking = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    asking.add_argument("--complaints", type=int, default=100_000)
    asking.add_argument("--waiting", type=int, default=40_000)
    asking.add_argument("--rounds", type=int, default=60)
    asked = asking.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ports = {"JIESU_WEB_PORT": "0", "JIESU_SMTP_ENABLED": "false", "JIESU_DROP_ENABLED": "false", "JIESU_TRACKER_URL": ""}
        settings = config.load({"JIESU_HOME": folder, **ports})
        app = bootstrap.build(settings, log=OperatorLog(stream=(Path(folder) / "log").open("w")))
        begun = time.perf_counter()
        fill(app, asked.complaints, asked.waiting)
        print(f"filled {asked.complaints:,} complaints, about {asked.waiting:,} waiting, in {time.perf_counter() - begun:.0f} s")
        signed_in = app.staffing.set_password(app.staffing.add("measuring", Role.OPERATOR), "measured with patience")
        assert signed_in is not None
        with serving(app) as host:
            _measure(host, signed_in.token, asked.rounds)
        app.close()


def _measure(host: str, token: str, rounds: int) -> None:
    connection = http.client.HTTPConnection(host, timeout=60)

    def get(path: str) -> str:
        connection.request("GET", path, headers={"Cookie": f"jiesu={token}"})
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, (path, answer.status)
        return body

    after = get("/console").split('id="more" href="')[1].split('"')[0].replace("&amp;", "&")
    requests = {
        "the queue": "/console",
        "its second page": after,
        "by channel": "/console?channel=phone",
        "by class": "/console?class=price",
        "by risk (1 % of all)": "/console?risk=safety",
        "everything, newest first": "/console?show=all",
        "an exact number": "/console?show=all&q=TS-20260301-0007",
        "a frequent word, waiting": f"/console?q={quote('漏水')}",
        "a word that is nowhere, waiting": f"/console?q={quote('没有这个词')}",
        "a word that is nowhere, everything": f"/console?show=all&q={quote('没有这个词')}",
        "two words": f"/console?q={quote('漏水 车位')}",
        "a complaint": "/console/complaints/TS-20260301-0007",
    }
    print(f"{'request':36} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8}")
    for name, path in requests.items():
        found = times_of(partial(get, path), rounds)
        print(f"{name:36} {statistics.median(found):8.1f} {statistics.quantiles(found, n=20)[-1]:8.1f} {found[-1]:8.1f}")


if __name__ == "__main__":
    main()
