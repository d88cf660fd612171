"""Fuzzed SMTP sessions against a real gateway: `python tests/fuzz/smtp_sessions.py --sessions 20000`.

Clients that behave, clients that pipeline and cut where they like, clients whose dialogs are mutated, and clients that hang up. Counted are
mails lost (answered 250 and not in the store, or other bytes there), sessions that the gateway did not end within 5 s of their last word,
and crashes (the gateway ended, told of a fault, or does not answer any more). Exit code 0 when all three are 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 5.0
MAX_BYTES = 60_000
TAKEN = re.compile(rb"250 2\.0\.0 OK (TS-\d+-\d+)\r\n")
END = b"\r\n.\r\n"


@dataclass
class Outcome:
    """What came of all sessions. taken: what was answered 250, with the bytes that it must be (or those that it must be part of)."""

    taken: list[tuple[int, str, bytes | None, bytes]] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


class Maker:
    """Makes the words of one session from its seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed

    def address(self) -> bytes:
        known = [b"<a@mail.example>", b"<lin+x@mail.example>", b"<>", '<"林 x"@mail.example>'.encode(), "<林@邮件.example>".encode()]
        odd = [b"a@b", b"< a@b >", b"<@relay.example:a@b.example>", b"<a@[127.0.0.1]>", b"<" + b"a" * 300 + b"@b.example>", b"<a..b@c>"]
        return self.random.choice([*known, *odd, b"<\xff@x>"])

    def line(self) -> bytes:
        pick = self.random.random()
        if pick < 0.55:
            return "您好，我家的墙面漏水。".encode() * self.random.randint(0, 6)
        if pick < 0.65:
            return b"." * self.random.randint(1, 4) + self.random.choice([b"", b"x", b"\n", b"\r"])
        if pick < 0.72:
            return self.random.choice([b"a\n.\nb", b"a\r.\rb", b"\n.", b"x\r", b"QUIT", b"\x00", b"MAIL FROM:<evil@x>"])
        return self.random.randbytes(self.random.randint(0, 80)).replace(b"\r\n", b"")

    def mail(self, n: int) -> bytes:
        """A whole mail with CR LF at its end; its bytes are its own."""
        lines = [b"From: lin@mail.example", b"Subject: %d-%d" % (self.seed, n), b""]
        lines += [self.line() for _ in range(self.random.choice([0, 1, 3, 20, 200]))]
        if self.random.random() < 0.04:
            lines.append(b"x" * self.random.choice([1001, 65_536, MAX_BYTES, 3 * MAX_BYTES]))
        return b"".join(line + b"\r\n" for line in lines)

    def commands(self, n: int) -> tuple[list[bytes], bytes]:
        """The commands of one mail, and the mail."""
        size = b" SIZE=%d" % self.random.randint(0, 2 * MAX_BYTES) if self.random.random() < 0.1 else b""
        words = [b"MAIL FROM:<lin@mail.example>" + size]
        words += [b"RCPT TO:<tousu@jiesu.example>"] * self.random.choice([1, 1, 1, 2, 5])
        return [*words, b"DATA"], self.mail(n)

    def odd(self) -> bytes:
        return self.random.choice(
            [
                *(
                    b"NOOP",
                    b"RSET",
                    b"HELP",
                    b"VRFY x",
                    b"EXPN x",
                    b"AUTH PLAIN AAAA",
                    b"STARTTLS",
                    b"HELO",
                    b"EHLO x",
                    b"HELO x",
                    b"QUIT now",
                ),
                *(b"DATA", b"BDAT 5 LAST", b"", b" ", b"\x00", b"\xff\xfe", b"GET / HTTP/1.1", b"MAIL", b"RCPT TO:<>", b"X" * 2000),
                *(b"MAIL FROM:" + self.address() + b" BODY=8BITMIME SMTPUTF8", b"RCPT TO:" + self.address(), b"mail from:<a@b>"),
                *("MAIL FROM:<a@b> SIZE=１２".encode(), b"MAIL FROM:<a@b> SIZE=5 SIZE=6", b"RCPT TO:<a@b> NOTIFY=NEVER"),
                b"MAIL FROM:<a@b> SIZE=abc",
            ]
        )


def stuffed(mail: bytes) -> bytes:
    """As a client sends it (RFC 5321 4.5.2)."""
    return (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:]


def dotless(sent: bytes) -> bytes:
    """Without dots at the beginning of lines, for telling whether a mail is part of what was sent.

    A line may begin behind a lone line feed, too: that of a command that ended so.
    """
    return re.sub(rb"(\r\n|\n)\.+", rb"\1", b"\r\n" + sent)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.sent = bytearray()
        self.heard = bytearray()
        self.ended = False

    def say(self, words: bytes) -> None:
        self.sent += words
        self.writer.write(words)

    async def hear(self, seconds: float) -> bool:
        """What comes within the time; False when nothing does or the connection has ended."""
        try:
            async with asyncio.timeout(seconds):
                piece = await self.reader.read(65_536)
        except (TimeoutError, OSError):
            return False
        self.heard += piece
        self.ended = self.ended or not piece
        return bool(piece)

    async def answer(self) -> bytes:
        """The next whole answer; empty at the end of the connection. Raises TimeoutError after the limit."""
        ends = time.monotonic() + LIMIT_SECONDS
        at = len(self.heard)
        while True:
            whole = re.search(rb"^\d\d\d .*\r\n", bytes(self.heard[at:]), re.MULTILINE)
            if whole:
                return bytes(whole[0])
            if time.monotonic() > ends:
                raise TimeoutError
            if not await self.hear(ends - time.monotonic() + 0.01) and self.ended:
                return b""


async def behave(make: Maker, client: Client, outcome: Outcome) -> None:
    """Waits for each answer, as nearly all clients do; every mail must be what was sent."""
    await client.answer()
    client.say(b"EHLO fuzz.example\r\n")
    await client.answer()
    for n in range(make.random.randint(1, 3)):
        words, mail = make.commands(n)
        answer = b""
        for word in words:
            client.say(word + b"\r\n")
            answer = await client.answer()
            if not answer or answer[:1] == b"5":
                break
        if answer.startswith(b"354"):
            whole = stuffed(mail) + b".\r\n"
            while whole:
                length = make.random.choice([1, 7, 500, 5000, len(whole)])
                client.say(whole[:length])
                whole = whole[length:]
                if make.random.random() < 0.05:
                    await asyncio.sleep(0)
            answer = await client.answer()
            taken = TAKEN.search(answer)
            if taken:
                outcome.taken.append((make.seed, taken[1].decode(), mail, b""))
            elif len(stuffed(mail)) <= MAX_BYTES:
                outcome.slow.append(f"seed {make.seed}: a good mail was answered {answer[:60]!r}")
        elif not answer:
            return
        else:
            client.say(b"RSET\r\n")
            await client.answer()


async def mutate(make: Maker, client: Client, outcome: Outcome) -> None:
    """The same with words doubled, dropped, torn, and odd ones between."""
    await rush(make, client, outcome, mutations=make.random.randint(1, 6))


async def rush(make: Maker, client: Client, outcome: Outcome, *, mutations: int = 0) -> None:
    """Sends everything at once, cut anywhere."""
    words: list[bytes] = [b"EHLO fuzz.example\r\n"]
    for n in range(make.random.randint(1, 3)):
        commands, mail = make.commands(n)
        words += [one + b"\r\n" for one in commands]
        words.append(stuffed(mail) + make.random.choice([b".\r\n"] * 6 + [b".\n", b".\r", b"\n.\n"]))
    for _ in range(mutations):
        at = make.random.randrange(len(words))
        match make.random.randrange(5):
            case 0:
                words.insert(at, make.odd() + make.random.choice([b"\r\n", b"\n", b"\r", b""]))
            case 1:
                words.insert(at, words[at])
            case 2 if len(words) > 1:
                del words[at]
            case 3:
                cut = make.random.randint(0, len(words[at]))
                words[at] = words[at][:cut] + make.random.randbytes(make.random.randint(0, 5)) + words[at][cut:]
            case _:
                words[at] = words[at][: make.random.randint(0, len(words[at]))]
    whole = b"".join(words)
    while whole and not client.ended:
        length = make.random.choice([1, 3, 50, 1000, 20_000])
        client.say(whole[:length])
        whole = whole[length:]
        if make.random.random() < 0.1:
            await client.hear(0.001)


async def vanish(make: Maker, client: Client, outcome: Outcome) -> None:
    """Sends a part of a good dialog, and goes."""
    words, mail = make.commands(0)
    whole = b"EHLO fuzz.example\r\n" + b"".join(one + b"\r\n" for one in words) + stuffed(mail) + b".\r\n"
    client.say(whole[: make.random.choice([make.random.randint(0, len(whole)), len(whole)])])
    await client.hear(make.random.choice([0.001, 0.02]))
    if make.random.random() < 0.5:
        client.writer.transport.abort()
    elif client.writer.can_write_eof() and not client.writer.transport.is_closing():
        client.writer.write_eof()


async def session(seed: int, address: tuple[str, int], source: str, outcome: Outcome) -> None:
    """One session, of the kind that its seed says."""
    make = Maker(seed)
    kind = make.random.choices(["behaves", "rushes", "mutated", "vanishes"], [40, 15, 35, 10])[0]
    outcome.kinds[kind] += 1
    client = Client(*await asyncio.open_connection(*address, local_addr=(source, 0)))
    try:
        await {"behaves": behave, "rushes": rush, "mutated": mutate, "vanishes": vanish}[kind](make, client, outcome)
        begun = time.monotonic()
        if kind != "vanishes" and not client.writer.transport.is_closing():
            # Whatever state the dialog is in, this ends it.
            client.say(END + b"\r\nQUIT\r\n" + b"\r\nQUIT\r\n")
        while not client.ended and time.monotonic() - begun < LIMIT_SECONDS:
            if not await client.hear(0.5) and client.writer.transport.is_closing():
                break
        took = time.monotonic() - begun
        outcome.slowest = max(outcome.slowest, took)
        if took >= LIMIT_SECONDS:
            outcome.slow.append(f"seed {seed} ({kind}): not ended; the last that was heard: {bytes(client.heard[-80:])!r}")
    except TimeoutError:
        outcome.slow.append(f"seed {seed} ({kind}): no answer; the last that was heard: {bytes(client.heard[-80:])!r}")
    except OSError:
        pass
    finally:
        client.writer.transport.abort()
    if kind != "behaves":
        outcome.taken += [(seed, number.decode(), None, bytes(client.sent)) for number in TAKEN.findall(bytes(client.heard))]


async def run(sessions: int, first_seed: int, address: tuple[str, int], at_once: int) -> Outcome:
    """All sessions, so many at once."""
    outcome = Outcome()
    seeds = iter(range(first_seed, first_seed + sessions))

    async def one_after_another(lane: int) -> None:
        for seed in seeds:
            await session(seed, address, f"127.0.0.{lane + 1}", outcome)

    await asyncio.gather(*(one_after_another(lane) for lane in range(at_once)))
    return outcome


def lost(database: Path, outcome: Outcome) -> list[str]:
    """Mails that were answered 250 and are not in the store as they were sent."""
    with sqlite3.connect(database) as conn:
        kept = dict(conn.execute("SELECT number, raw FROM submissions"))
    missing = []
    for seed, number, mail, sent in outcome.taken:
        raw = kept.get(number)
        if raw is None:
            missing.append(f"seed {seed}: {number} is not in the store")
        elif mail is not None and raw != mail:
            missing.append(f"seed {seed}: {number} has other bytes than were sent")
        elif mail is None and dotless(raw)[2:] not in dotless(sent):
            missing.append(f"seed {seed}: {number} is no part of what was sent")
    return missing


def main() -> int:
    """The program."""
    asking = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asking.add_argument("--sessions", type=int, default=20_000)
    asking.add_argument("--seed", type=int, default=1, help="the first seed; each session has the next")
    asking.add_argument("--at-once", type=int, default=16)
    asking.add_argument("--acceptors", type=int, default=1)
    asked = asking.parse_args()
    # It complains of each word to a server that has hung up.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="jiesu-fuzz-") as folder:
        home = Path(folder)
        env = {name: value for name, value in os.environ.items() if not name.startswith("JIESU_")} | {
            "JIESU_HOME": str(home),
            "JIESU_SMTP_PORT": "0",
            "JIESU_SMTP_MAX_BYTES": str(MAX_BYTES),
            "JIESU_SMTP_ACCEPTORS": str(asked.acceptors),
            "JIESU_WEB_PORT": "0",
            "JIESU_DROP_ENABLED": "false",
            "JIESU_TRACKER_URL": "",
        }
        log = home / "log"
        with log.open("wb") as stream:
            gateway = subprocess.Popen([sys.executable, "-m", "gateway.cli", "serve"], cwd=ROOT, env=env, stdout=stream, stderr=stream)
        try:
            doors = _opened(home / "serve.json", gateway)
            begun = time.monotonic()
            outcome = asyncio.run(run(asked.sessions, asked.seed, tuple(doors["smtp"]), asked.at_once))
            seconds = time.monotonic() - begun
            crashes = _crashes(gateway, log, str(doors["web"]))
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(120)
        missing = lost(home / "jiesu.db", outcome)
    for line in [*missing[:10], *outcome.slow[:10], *crashes[:10]]:
        print(line)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.kinds.items()))
    print(f"{asked.sessions} sessions in {seconds:.0f} s ({kinds}), seeds from {asked.seed}; {len(outcome.taken)} mails answered 250;")
    print(f"lost {len(missing)}, over {LIMIT_SECONDS:g} s {len(outcome.slow)}, crashes {len(crashes)}; slowest end {outcome.slowest:.2f} s")
    return 1 if missing or outcome.slow or crashes or not outcome.taken else 0


def _opened(path: Path, gateway: subprocess.Popen[bytes]) -> dict[str, Any]:
    ends = time.monotonic() + 60
    while not path.exists():
        if gateway.poll() is not None or time.monotonic() > ends:
            raise SystemExit("the gateway does not come up")
        time.sleep(0.05)
    doors: dict[str, Any] = json.loads(path.read_text())
    return doors


def _crashes(gateway: subprocess.Popen[bytes], log: Path, web: str) -> list[str]:
    found = [
        line
        for line in log.read_text("utf-8", "replace").splitlines()
        if '"Fault"' in line or "AcceptorEnded" in line or "Traceback" in line
    ]
    if gateway.poll() is not None:
        return [*found, f"the gateway ended with {gateway.returncode}"]
    try:
        with urllib.request.urlopen(f"{web}/healthz", timeout=30) as answer:
            return found if answer.status == 200 else [*found, f"/healthz says {answer.status}"]
    except OSError as error:
        return [*found, f"/healthz does not answer: {error}"]


if __name__ == "__main__":
    sys.exit(main())
