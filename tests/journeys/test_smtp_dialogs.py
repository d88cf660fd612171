"""The conversations of `tests/dialogs`, held with a real gateway. The language is told in their README."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running import RunningGateway

from models.submission import Channel

DIALOGS = sorted((Path(__file__).parents[1] / "dialogs").glob("*.dlg"))
SECONDS = 20


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key, made now."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    files = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", str(files[0]), "-keyout", str(files[1])], check=True, capture_output=True, timeout=60)
    return files


class Gateways:
    """One gateway for all dialogs that want the same settings."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._running: dict[frozenset[tuple[str, str]], RunningGateway] = {}

    def of(self, settings: dict[str, str]) -> RunningGateway:
        key = frozenset(settings.items())
        if key not in self._running:
            home = self._folder / str(len(self._running))
            home.mkdir()
            if settings.pop("tls", None) is not None:
                public, private = certificate(home)
                settings |= {"smtp_tls_certificate": str(public), "smtp_tls_key": str(private)}
            self._running[key] = self._stack.enter_context(RunningGateway(home, **settings))
        return self._running[key]


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with ExitStack() as stack:
        yield Gateways(tmp_path_factory.mktemp("dialogs"), stack)


class Talk:
    """One conversation, line by line."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._named: dict[str, str] = {}
        self.connect()

    def connect(self) -> None:
        self._socket: socket.socket = socket.create_connection(self._address, timeout=SECONDS)
        self._file = self._socket.makefile("rb")
        assert self.answer() == "220 jiesu ESMTP"

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def step(self, verb: str, rest: str) -> None:
        """Does what one line of the dialog says."""
        verb, _, times = verb.partition("*") if verb != "**" else (verb, "", "")
        for _ in range(int(times or 1)):
            match verb:
                case "->":
                    self.send(rest + r"\r\n")
                case "|>":
                    self.send(rest)
                case "<-":
                    answer = self.answer()
                    assert answer.startswith(rest), f"the answer was {answer!r}"
                case "<~":
                    self.match(rest)
                case "<|":
                    assert self.ended(), "the connection is still open"
                case "**" if rest == "tls":
                    self.handshake()
                case "**" if rest == "again":
                    self.close()
                    self.connect()
                case _:
                    raise ValueError(f"no such verb: {verb} {rest}")

    def send(self, written: str) -> None:
        written = re.sub(r"\{(.*?)\*(\d+)\}", lambda found: found[1] * int(found[2]), written)
        escapes = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
        parts = re.split(r"\\(x[0-9a-f]{2}|[rnt\\])", written)
        raw = b"".join(
            part.encode() if n % 2 == 0 else escapes.get(part) or bytes.fromhex(part.removeprefix("x")) for n, part in enumerate(parts)
        )
        try:
            self._socket.sendall(raw)
        except OSError:
            # The gateway has hung up in the middle; the dialog says below whether it was meant to.
            return

    def answer(self) -> str:
        lines = []
        while not lines or lines[-1][3:4] == "-":
            line = self._file.readline()
            assert line.endswith(b"\r\n"), f"the connection ended after {lines} {line!r}"
            lines.append(line.decode("utf-8").removesuffix("\r\n"))
        assert re.match(r"[2-5]\d\d[ -]", lines[0]), lines
        assert not re.search(r"Traceback|Error: \(|\.py", "\n".join(lines)), "an answer tells of our inside"
        return "\n".join(lines)

    def match(self, pattern: str) -> None:
        for name, value in self._named.items():
            pattern = pattern.replace(f"(?P={name})", re.escape(value))
        answer = self.answer()
        found = re.search(pattern, answer)
        assert found, f"{answer!r} does not match {pattern!r}"
        self._named |= found.groupdict()

    def ended(self) -> bool:
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def handshake(self) -> None:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        self._file.close()
        self._socket = trusting.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_dialog(path: Path, gateways: Gateways) -> None:
    lines = [line for line in path.read_text("utf-8").split("\n") if line and not line.startswith("#")]
    heads = [line[2:].partition("=") for line in lines if line.startswith(": ")]
    settings = {key.strip(): value.strip() for key, _, value in heads}
    gateway = gateways.of(settings)
    before = len(gateway.committed(Channel.EMAIL))
    talk = Talk(gateway.smtp)
    counted = False
    try:
        for number, line in enumerate(lines, 1):
            verb, _, rest = line.partition(" ")
            try:
                if verb == "==":
                    assert len(gateway.committed(Channel.EMAIL)) - before == int(rest)
                    counted = True
                elif verb == "=~":
                    last = gateway.committed(Channel.EMAIL)[-1]
                    kept = json.dumps(dict(last.envelope), ensure_ascii=False) + "\n" + last.raw.decode("latin-1")
                    assert re.search(rest, kept), f"{kept[:300]!r} does not match {rest!r}"
                elif verb != ":":
                    talk.step(verb, rest)
            except (AssertionError, OSError) as error:
                raise AssertionError(f"{path.name}, step {number}, {line[:100]!r}: {error}") from error
    finally:
        talk.close()
    assert counted, "a dialog says how many complaints must have been committed"


def test_each_dialog_says_what_it_shows() -> None:
    assert len(DIALOGS) >= 30
    for path in DIALOGS:
        assert path.read_text("utf-8").startswith("# "), path.name
