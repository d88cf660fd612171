"""What operators try a mail server with, against the door for mail: swaks, smtp-source, and a Postfix as the relay before it."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from fakes import eventually
from running import RunningGateway

from benchmarks import postfix
from gateway import relays


def tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here; install it with: apt-get install {package}")
    return found


def swaks(gateway: RunningGateway, *more: str) -> str:
    host, port = gateway.smtp
    command = [tool("swaks", "swaks"), "--server", f"{host}:{port}", "--from", "lin@mail.example", "--to", "tousu@jiesu.example"]
    command += ["--ehlo", "mail.example", "--body", "墙面漏水", "--timeout", "20", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


def test_swaks_hands_mail_in_pipelined_and_over_tls_with_a_password(tmp_path: Path) -> None:
    tool("openssl", "openssl")
    able = subprocess.run([tool("swaks", "swaks"), "--support"], capture_output=True, text=True, timeout=60).stdout
    if "TLS supported" not in able:
        pytest.skip("swaks cannot speak TLS here; install what it lacks with: apt-get install libnet-ssleay-perl")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", str(files[0]), "-keyout", str(files[1])], check=True, capture_output=True, timeout=60)
    relays.add(tmp_path / "users", "relay-1", "secret password")
    settings = {"smtp_tls_certificate": files[0], "smtp_tls_key": files[1], "smtp_users": "users"}
    with RunningGateway(tmp_path, **settings) as gateway:
        assert "<-  250 2.0.0 OK TS-" in swaks(gateway, "--pipeline")
        said = swaks(gateway, "--tls", "--auth", "LOGIN", "--auth-user", "relay-1", "--auth-password", "secret password")
        assert "235 2.7.0" in said
        assert "<~  250 2.0.0 OK TS-" in said
        assert "535 5.7.8" in swaks(gateway, "--tls", "--auth", "PLAIN", "--auth-user", "relay-1", "--auth-password", "wrong")
        kept = gateway.committed()
        assert [one.envelope["tls"] for one in kept] == [False, True]
        assert all(b"\xe5\xa2\x99" in one.raw or base64.b64encode("墙面漏水".encode()) in one.raw for one in kept)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
def test_smtp_source_loses_nothing(tmp_path: Path, kept: bool) -> None:
    with RunningGateway(tmp_path, smtp_max_connections_per_address=20) as gateway:
        command = [tool("smtp-source", "postfix"), "-s", "20", "-m", "300", "-l", "5120", "-f", "a@mail.example", "-t", "b@jiesu.example"]
        address = "{}:{}".format(*gateway.smtp)
        ended = subprocess.run([*command, *(["-d"] if kept else []), address], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
        assert len(set(gateway.numbers())) == 300


def test_a_postfix_hands_its_queue_on(tmp_path: Path) -> None:
    refusal = postfix.why_not()
    if refusal is not None:
        pytest.skip(f"no Postfix can be run here: {refusal}")
    with RunningGateway(tmp_path) as gateway:
        relayhost = "[{}]:{}".format(*gateway.smtp)
        with postfix.running(f"relayhost = {relayhost}\ndefer_transports =\nrelay_destination_concurrency_limit = 5\n") as address:
            command = [tool("smtp-source", "postfix"), "-s", "5", "-m", "30", "-l", "2000", "-f", "a@mail.example", "-t", "b@jiesu.example"]
            subprocess.run([*command, "{}:{}".format(*address)], check=True, capture_output=True, timeout=60)
            assert eventually(lambda: len(gateway.committed()) == 30, 40)
        assert {tuple(one.envelope["rcpt_tos"]) for one in gateway.committed()} == {("b@jiesu.example",)}
