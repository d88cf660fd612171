"""A Postfix of our own for comparison: its own folder, a free loopback port, and nothing leaves its queue. Ended by its own command."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import BenchmarkError
from benchmarks.programs import free_port

HOW_TO_INSTALL = "apt-get install postfix"
_UP_SECONDS = 30
# Somebody may have taken the port that was free, and on a busy machine its own patience for its start may end.
_STARTS = 3

# It takes every mail for our recipient and keeps it: nothing is delivered, looked up or limited.
_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = bench.example
mydestination =
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
relay_domains = jiesu.example
defer_transports = smtp, relay, local
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
relay unix - - n - - smtp
smtp unix - - n - - smtp
showq unix n - n - - showq
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def why_not() -> str | None:
    """Why no Postfix can be run here; None when one can."""
    if shutil.which("postfix") is None or shutil.which("smtp-source") is None:
        return f"it is not installed ({HOW_TO_INSTALL})"
    if os.geteuid() != 0:
        return "its master wants to be started by root"
    return None


@contextmanager
def running(more: str = "") -> Iterator[tuple[str, int]]:
    """A Postfix that takes mail into its queue, until the end of the block; gives its address. `more`: lines for its main.cf."""
    # Its programs run as its own user and must get through; the usual temporary folders are for their owner alone.
    folder = Path(tempfile.mkdtemp(prefix="jiesu-postfix-"))
    folder.chmod(0o755)
    conf = folder / "conf"
    for name in ("conf", "queue", "data"):
        (folder / name).mkdir()
        # Whatever the umask of who runs this.
        (folder / name).chmod(0o755)
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    asked = subprocess.run(["postconf", "-dh", "daemon_directory"], capture_output=True, text=True, check=True, timeout=30)
    (conf / "main.cf").write_text(_MAIN.format(folder=folder, daemons=asked.stdout.strip()) + more)
    (conf / "main.cf").chmod(0o644)
    command = ["postfix", "-c", str(conf)]
    try:
        port = _start(command, conf, folder / "log")
        _wait(port)
        yield "127.0.0.1", port
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: list[str], conf: Path, log: Path) -> int:
    """Starts it; its port."""
    for _ in range(_STARTS):
        port = free_port()
        (conf / "master.cf").write_text(_MASTER.format(port=port))
        (conf / "master.cf").chmod(0o644)
        if subprocess.run([*command, "start"], check=False, capture_output=True, timeout=60).returncode == 0:
            return port
        subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)
    said = "\n".join(log.read_text("utf-8", "replace").splitlines()[-10:]) if log.exists() else "it wrote no log"
    raise BenchmarkError(f"Postfix does not start:\n{said}")


def _wait(port: int) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                if probe.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.05)
    raise BenchmarkError("Postfix does not come up")
