"""Chats: a thousand of them open in one process, 200 lines a second, each ticked after its commit while the worker sorts what came."""

from __future__ import annotations

import json
import re
import statistics
import time
import urllib.error
from pathlib import Path

from benchmarks.measuring import BenchmarkError, Report, fsync_ms, percentile
from benchmarks.programs import Program, get, running

_GROUP = "chat"
# The promise: so many open chats, so many lines a second, ticked within so many milliseconds (p99), in so much memory.
CHATS, PER_SECOND, P99_MS, MOST_MB = 1000, 200, 150, 400


def measure(report: Report, folder: Path, *, quick: bool) -> None:
    """Adds the rows of this measurement. Takes about 40 s, quick 15."""
    chats, seconds = (200, 4) if quick else (CHATS, 20)
    home = folder / "home-chat"
    env = {
        "JIESU_HOME": str(home),
        "JIESU_SMTP_ENABLED": "false",
        "JIESU_DROP_ENABLED": "false",
        "JIESU_WEB_PORT": "0",
        "JIESU_TRACKER_URL": "",
        "JIESU_CHAT_MAX_CONNECTIONS": str(chats + 10),
        "JIESU_CHAT_MAX_CONNECTIONS_PER_ADDRESS": str(chats + 10),
        "JIESU_CHAT_MAX_NEW_PER_HOUR_OF_ADDRESS": str(chats * 10),
        "JIESU_CHAT_MAX_LINES_PER_MINUTE_OF_ADDRESS": "1000000",
    }
    with running(folder, "gateway.cli", "serve", env=env) as gateway:
        web = str(gateway.wait_for(home / "serve.json")["web"])
        _until_ready(web)
        url = web.replace("http", "ws", 1) + "/ws/chat"
        idle = _memory_mb(gateway, "VmRSS")
        cpu = gateway.cpu_seconds()
        load = ["--chats", str(chats), "--per-second", str(PER_SECOND), "--seconds", str(seconds)]
        with running(folder, "benchmarks.chatters", url, *load) as sending:
            opened = sending.first_line()
            open_mb = _memory_mb(gateway, "VmRSS")
            told = sending.result(seconds + 90)
        cpu = gateway.cpu_seconds() - cpu
        most = _memory_mb(gateway, "VmHWM")
    if told["refused"] or told["lost"]:
        raise BenchmarkError(f"of {told['sent']} lines {told['refused']} were refused and {told['lost']} never ticked")
    acks = [1000 * one for one in told["acks"]]
    what = f"{chats} open, {PER_SECOND} lines/s for {seconds} s"
    report.single(_GROUP, f"{what}: line → tick, p50", statistics.median(acks), "ms", f"one fsync a group: {fsync_ms(folder):.1f} ms each")
    report.single(
        _GROUP, "  p99", percentile(acks, 0.99), "ms", f"promised: {P99_MS} ms; the load generator and all else have the same cores"
    )
    report.single(_GROUP, "  longest", max(acks), "ms", f"the load generator was late by {1000 * told['late']:.0f} ms at most")
    report.single(_GROUP, "  lines sent", told["sent"] / told["seconds"], "/s")
    report.single(_GROUP, "  the machine said", told["said"] / told["seconds"], "/s", "questions, numbers, where it was passed to")
    if cpu:
        report.single(_GROUP, "  processor time a line, all of the gateway", 1000 * cpu / told["sent"], "CPU ms", "door, dialogue, sorting")
    if most:
        report.single(_GROUP, "memory of the process at most", most, "MB", f"promised: {MOST_MB} MB; {idle:.0f} before the first chat")
        report.single(_GROUP, "memory of an open chat", 1024 * max(0.0, open_mb - idle) / chats, "kB", "connection, task and room")
    report.single(_GROUP, f"opening {chats} chats", chats / float(opened["seconds"]), "/s")


def _until_ready(web: str) -> None:
    """Waits until it sorts, so that loading the classifier is no part of the figures."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if all(json.loads(get(f"{web}/readyz")).values()):
                return
        except (urllib.error.URLError, TimeoutError):
            pass
        time.sleep(0.2)
    raise BenchmarkError("the gateway does not get ready")


def _memory_mb(program: Program, key: str) -> float:
    """A figure of the kernel on a process, in MB; 0 where the system does not tell (only Linux does)."""
    try:
        found = re.search(rf"{key}:\s+(\d+) kB", Path(f"/proc/{program.pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
