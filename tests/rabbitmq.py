"""A real RabbitMQ for the tests: a node of its own on free loopback ports, from the distribution's binaries, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certificates

from benchmarks.programs import free_port

HOW_TO_INSTALL = "apt-get install -y --no-install-recommends rabbitmq-server openssl"
USER, PASSWORD = "jiesu", "pass/word of the broker"

# The scripts below Debian's wrappers, which insist on the account and the folders of the system's own node.
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")

_CONFIG = """
listeners.tcp.1 = 127.0.0.1:{plain}
listeners.ssl.1 = 127.0.0.1:{tls}
ssl_options.cacertfile = {folder}/cert.pem
ssl_options.certfile = {folder}/cert.pem
ssl_options.keyfile = {folder}/key.pem
ssl_options.verify = verify_none
default_user = {user}
default_pass = {password}
vm_memory_high_watermark.absolute = 4GB
disk_free_limit.absolute = 1MB
log.console = true
log.file = false
"""


def find() -> Path | None:
    """The folder of the programs; None where they are not installed."""
    there = all(shutil.which(name) for name in ("epmd", "erl_call", "openssl")) and (_PROGRAMS / "rabbitmq-server").exists()
    return _PROGRAMS if there else None


class RabbitMq:
    """A broker that can be killed and started again, and keeps what is durable. `plain`, `tls`: its ports; `ca`: who signed it."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self.folder = programs, folder
        self.plain, self.tls, self._distribution, self._epmd_port = (free_port() for _ in range(4))
        self.node, self._cookie = f"jiesu{self.plain}@localhost", f"cookie{os.getpid()}"
        self.ca = certificates.make(folder)
        config = _CONFIG.format(plain=self.plain, tls=self.tls, folder=folder, user=USER, password=PASSWORD)
        (folder / "rabbitmq.conf").write_text(config)
        (folder / "plugins").write_text("[].")
        (folder / "environment").touch()
        (folder / ".erlang.cookie").write_text(self._cookie)
        (folder / ".erlang.cookie").chmod(0o400)
        # Ours and in the foreground, or Erlang would leave one behind that outlives the test.
        self._epmd = subprocess.Popen(
            ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1", "-relaxed_command_check"], env=self._environment()
        )
        self._process: subprocess.Popen[bytes] | None = None

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
        }

    def url(self, *, user: str = USER, password: str = "", host: str = "127.0.0.1", vhost: str = "", tls: bool = False) -> str:
        """Where it is, with a user name and, where one is given, a password as they are written in a URL."""
        named = user + (f":{password}" if password else "")
        return f"amqp{'s' if tls else ''}://{named}@{host}:{self.tls if tls else self.plain}/{vhost}"

    def start(self) -> None:
        """Starts, and waits until it takes connections."""
        with (self.folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                [self._programs / "rabbitmq-server"],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        deadline = time.monotonic() + 90
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start:\n{self.log()[-5000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.plain), 5) as probe:
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False

    def settle(self) -> None:
        """Has the node write down which queues there are, which it does by itself only after half a second."""
        self.tell("[dets:sync(Table) || Table <- dets:all()]")

    def kill(self) -> None:
        """Ends it at once, without a word to anybody."""
        if self._process is not None:
            # It and its children are a session of their own, which we began.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    def close(self) -> None:
        """Ends all that was begun."""
        self.kill()
        self._epmd.kill()
        self._epmd.wait(20)

    def log(self) -> str:
        """What it wrote."""
        path = self.folder / "console"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def tell(self, expression: str) -> str:
        """Lets the node compute an Erlang expression, as `rabbitmqctl eval` does in a fiftieth of the time."""
        asked = ["erl_call", "-sname", self.node, "-c", self._cookie, "-e"]
        answer = subprocess.run(
            asked, input=f"{expression}.\n", env=self._environment(), capture_output=True, text=True, check=False, timeout=30
        )
        if answer.returncode or not answer.stdout.startswith("{ok,"):
            raise RuntimeError(answer.stdout + answer.stderr)
        return answer.stdout

    def alarm(self, raised: bool) -> None:
        """Raises the alarm of memory, as a broker does that has too little, or ends it."""
        source = "{resource_limit, memory, node()}"
        self.tell(f"rabbit_alarm:set_alarm({{{source}, []}})" if raised else f"rabbit_alarm:clear_alarm({source})")


@contextmanager
def running(programs: Path) -> Iterator[RabbitMq]:
    """A broker on free loopback ports, gone afterwards with all it held."""
    folder = Path(tempfile.mkdtemp(prefix="jiesu-mq-"))
    server = RabbitMq(programs, folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
