"""`python tests/fuzz/mutated_mails.py [--mails 10000] [--seed N] [--keep FOLDER]`: damaged mails through store and reader.

Each is a golden mail (tests/mail, tests/replies) whose structure was changed — headers, labels, encodings, boundaries, nesting, pieces of
other mails — or random bytes. It is taken in, read by the intake step and looked up again. Nothing may be lost (its bytes are there, and
with them a message or a parked job), nothing may crash, nothing may take five seconds. The same seed gives the same mails.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select

from connectors import mime
from gateway.announcing import Announcer
from gateway.attachments import Attachments
from gateway.clock import SystemClock
from gateway.flow import FLOW
from gateway.intake import Intake
from gateway.joining import Joiner
from gateway.metrics import Metrics
from gateway.oplog import OperatorLog
from gateway.reply_token import ReplyTokens
from gateway.store import jobs, migrations, submissions
from gateway.store.engine import Store
from gateway.worker import Worker
from models.attachment import AttachmentLimits
from models.complaint import Parsed
from models.endpoint import Audience
from models.errors import Unreadable
from models.submission import Channel, Submission
from models.tables import attachments, messages

TESTS = Path(__file__).parents[1]
SECONDS = 5.0
_AT_ONCE = 200


@dataclass(slots=True)
class Outcome:
    """What came of a run. Each of the first three must be empty."""

    lost: list[int] = field(default_factory=list)
    slow: list[int] = field(default_factory=list)
    crashed: list[int] = field(default_factory=list)
    mails: int = 0
    parked: Counter[str] = field(default_factory=Counter)
    files: int = 0
    slowest: float = 0.0


LABELS = (
    b"utf-8",
    b"gb2312",
    b"gbk",
    b"big5",
    b"hz-gb-2312",
    b"iso-2022-jp",
    b"utf-16",
    b"utf-7",
    b"ks_c_5601-1987",
    b"x-unknown",
    b"",
    b"punycode",
)
ENCODINGS = (b"base64", b"quoted-printable", b"7bit", b"8bit", b"x-uuencode", b"binary", b"rot13", b"")
TYPES = (
    *(
        b"text/plain",
        b"text/html",
        b"multipart/mixed; boundary=b",
        b"multipart/alternative; boundary=b",
        b"multipart/related",
        b"message/rfc822",
    ),
    *(
        b"application/ms-tnef",
        b"multipart/report",
        b"text/calendar",
        b"image/png",
        b"text/enriched",
        b"nonsense",
        b"multipart/digest; boundary=b",
    ),
)
PIECES = (
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\n--b\n",
        b"\n--b--\n",
        b"--",
        b"=?utf-8?B?",
        b"?=",
        b"=?gb2312?Q?=C4=E3",
        b"=",
        b"%",
        b"<!--",
        b"<div ",
        b"&#",
    ),
    *(
        b"<table>",
        b"</p>",
        b"<blockquote type=cite>",
        b"\x1b$B",
        b"~{",
        b"+AGE",
        b"\xff\xfe",
        b"\xc4",
        b"\xe4\xbd",
        b"begin 644 a\nM",
        b"\nend\n",
    ),
    *(
        "写道：\n".encode(),
        "发件人：".encode(),
        b"> ",
        b"-- \n",
        b"\x78\x9f\x3e\x22\x01\x00",
        b"\xff" * 8,
        b"From: <",
        b"filename*0*=",
        b"; ;",
        b'"',
        b"(",
    ),
)


def mutated(chance: random.Random, golden: Sequence[bytes]) -> bytes:
    """One damaged mail."""
    if chance.random() < 0.03:
        return chance.randbytes(chance.choice((0, 1, 10, 1000, 50_000)))
    raw = chance.choice(golden)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        raw = chance.choice(CHANGES)(chance, raw, golden)
    return raw[:2_000_000]


Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def _place(chance: random.Random, raw: bytes) -> int:
    return chance.randrange(len(raw) + 1)


def _insert(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + chance.choice(PIECES) + raw[at:]


def _repeat(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    piece = chance.choice((chance.choice(PIECES), raw[at : at + chance.randrange(1, 80)]))
    return raw[:at] + piece * chance.choice((10, 100, 1000, 20_000)) + raw[at:]


def _remove(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + raw[at + chance.choice((1, 4, 40, 400)) :]


def _flip(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 5, 50))):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    return raw[: _place(chance, raw)]


def _splice(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    other = chance.choice(golden)
    at, begin = _place(chance, raw), _place(chance, other)
    return raw[:at] + other[begin : begin + chance.randrange(1, 3000)] + raw[at:]


def _line_ends(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\n", chance.choice((b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n")))


def _header(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    """A header twice, out of its place, or another in its place."""
    lines = raw.split(b"\n")
    heads = [place for place, line in enumerate(lines) if b":" in line[:40]]
    if not heads:
        return b"Subject: x\n" + raw
    at = chance.choice(heads)
    what = chance.randrange(4)
    if what == 0:
        lines.insert(at, lines[at])
    elif what == 1:
        lines.insert(chance.randrange(len(lines)), lines.pop(at))
    elif what == 2:
        lines[at] = lines[at].rstrip(b"\r") + b" " + chance.choice(PIECES) * chance.choice((1, 100, 5000))
    else:
        del lines[at]
    return b"\n".join(lines)


def _said(name: bytes, values: Sequence[bytes]) -> Change:
    def change(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
        at = raw.lower().find(name, _place(chance, raw))
        at = at if at >= 0 else raw.lower().find(name)
        if at < 0:
            return raw
        end = min((place for place in (raw.find(mark, at) for mark in (b"\n", b";")) if place > 0), default=len(raw))
        return raw[: at + len(name)] + chance.choice(values) + raw[end:]

    return change


def _wrap(chance: random.Random, raw: bytes, golden: Sequence[bytes]) -> bytes:
    """The whole mail as a part or a message of another, some times over."""
    head = chance.choice((b"", b"", b"Content-Type: message/rfc822\n\n"))
    for level in range(chance.choice((1, 2, 5, 25))):
        mark = b"w%d" % level
        kind = chance.choice((b"mixed", b"alternative", b"related", b"signed", b"report", b"digest", b"encrypted"))
        raw = b"From: a@example.com\nContent-Type: multipart/" + kind + b"; boundary=" + mark + b"\n\n--" + mark + b"\n" + head + raw
        raw += b"\n--" + mark + chance.choice((b"--\n", b"\n", b""))
    return raw


CHANGES: tuple[Change, ...] = (
    *(_insert, _repeat, _remove, _flip, _cut, _splice, _line_ends, _header, _wrap),
    _said(b"charset=", LABELS),
    _said(b"content-transfer-encoding: ", ENCODINGS),
    _said(b"content-type: ", TYPES),
    _said(b"boundary=", (b"b", b'""', b'"=_b"', b"-", b"", b"x" * 300)),
    _said(b"content-disposition: ", (b"attachment", b"inline", b"attachment; filename*0*=utf-8''%E4; filename*2=x", b"")),
)


def golden_mails() -> list[bytes]:
    """What is damaged."""
    return [path.read_bytes() for folder in ("mail", "replies") for path in sorted((TESTS / folder).glob("*.eml"))]


def run(mails: int, seed: int, folder: Path, keep: Path | None = None) -> Outcome:
    """Takes `mails` damaged mails in, has them read, and looks for each."""
    chance, golden, outcome = random.Random(seed), golden_mails(), Outcome(mails=mails)
    store = Store(f"sqlite:///{folder / 'fuzz.db'}", checkpoints=True)
    migrations.upgrade(store)
    clock, log, metrics = SystemClock(), OperatorLog("json", "error"), Metrics()
    taken: dict[int, int] = {}

    def parse(submission: Submission) -> Parsed:
        number = int(submission.source_key)
        # The processor's time: what a mail costs, however busy the machine is with other things.
        began = time.thread_time()
        try:
            return mime.parse(submission)
        except Unreadable as error:
            outcome.parked[error.code] += 1
            raise
        except Exception:
            outcome.crashed.append(number)
            raise
        finally:
            took = time.thread_time() - began
            outcome.slowest = max(outcome.slowest, took)
            if took > SECONDS:
                outcome.slow.append(number)

    pause = timedelta(seconds=0)
    intake = Intake(
        store,
        {Channel.EMAIL: parse},
        Joiner(ReplyTokens("fuzz")),
        Announcer(Audience({}), "http://127.0.0.1/api/v1/complaints", "fuzz"),
        lambda submission: False,
        metrics,
        quiet=pause,
        longest_wait=pause,
        files=AttachmentLimits(50, 26_214_400),
    )
    worker = Worker(store, clock, FLOW[:1], {"intake": intake}, log, metrics, "fuzz")
    opener = Attachments(store, {Channel.EMAIL: mime.file_of})
    try:
        for begin in range(0, mails, _AT_ONCE):
            some = {number: mutated(chance, golden) for number in range(begin, min(begin + _AT_ONCE, mails))}
            offered = [Submission(Channel.EMAIL, raw, "message/rfc822", str(number), datetime.now(UTC)) for number, raw in some.items()]
            with store.write() as conn:
                receipts = submissions.take_in(store, conn, offered, ZoneInfo("Asia/Shanghai"), clock.now())
            taken = {number: receipt.submission_id for number, receipt in zip(some, receipts, strict=True)}
            worker.drain()
            outcome.lost += _lost(store, some, taken, {receipt.submission_id: receipt.number for receipt in receipts})
            outcome.files += _opened(store, opener, list(taken.values()), outcome)
            for number in {*outcome.lost, *outcome.slow, *outcome.crashed} & set(some):
                if keep:
                    (keep / f"{seed}-{number}.eml").write_bytes(some[number])
    finally:
        store.close()
    return outcome


def _lost(store: Store, some: dict[int, bytes], taken: dict[int, int], numbers_given: dict[int, str]) -> list[int]:
    """Mails that are neither a message, nor parked, nor known for the very same as one that is a message; or whose bytes have changed."""
    with store.read() as conn:
        kept = submissions.load(conn, list(taken.values()))
        told = set(conn.execute(select(messages.c.submission_id).where(messages.c.submission_id.in_(list(taken.values())))).scalars())
        numbers = {job.number for job in jobs.parked(conn, kind="intake")}

    def kept_once(submission_id: int) -> bool:
        number = kept[submission_id][1]
        if submission_id in told:
            return number not in numbers
        return number in numbers or number != numbers_given[submission_id]

    return [number for number, raw in some.items() if kept[taken[number]][0].raw != raw or not kept_once(taken[number])]


def _opened(store: Store, opener: Attachments, ids: list[int], outcome: Outcome) -> int:
    """How many files of these submissions can be opened; one that cannot is lost. Of each mail one is tried."""
    with store.read() as conn:
        a = attachments.c
        rows = conn.execute(select(a.number, a.id, a.submission_id, a.size).where(a.submission_id.in_(ids))).all()
    for row in {row.submission_id: row for row in rows}.values():
        found = opener.open(row.number, row.id)
        if found is None or len(found.content) != row.size:
            outcome.lost.append(row.submission_id)
    return len(rows)


def main() -> int:
    """0 when nothing was lost, slow or crashed."""
    asking = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asking.add_argument("--mails", type=int, default=10_000)
    asking.add_argument("--seed", type=int, default=5)
    asking.add_argument("--keep", type=Path, metavar="FOLDER", help="write mails that fail into this folder")
    asked = asking.parse_args()
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(asked.mails, asked.seed, Path(folder), asked.keep)
    print(
        f"{outcome.mails} mutated mails (seed {asked.seed}) in {time.monotonic() - began:.0f} s: {len(outcome.lost)} lost, "
        f"{len(outcome.slow)} over {SECONDS:g} s, {len(outcome.crashed)} crashes; {sum(outcome.parked.values())} quarantined "
        f"{dict(outcome.parked)}, {outcome.files} files, slowest {outcome.slowest:.2f} s"
    )
    for name in ("lost", "slow", "crashed"):
        if failed := getattr(outcome, name):
            print(f"{name}: {failed[:20]}")
    return 1 if outcome.lost or outcome.slow or outcome.crashed else 0


if __name__ == "__main__":
    sys.exit(main())
