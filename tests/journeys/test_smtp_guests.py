"""Who may hand mail in, and for whom: passwords of relays, recipients, and what estate or brand they stand for."""

from __future__ import annotations

import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from factories import mail
from fakes import eventually
from running import RunningGateway

from connectors.smtp_recipients import Recipients, bare
from gateway import relays
from models.errors import BadSetting, Refused

PASSWORD = "correct horse battery staple"


def certificate(folder: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with; apt-get install openssl")
    files = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", str(files[0]), "-keyout", str(files[1])], check=True, capture_output=True, timeout=60)
    return files


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("pems"))


@contextmanager
def guarded(folder: Path, pems: tuple[Path, Path], **settings: object) -> Iterator[RunningGateway]:
    relays.add(folder / "users", "relay-1", PASSWORD)
    more = {"smtp_users": "users", "smtp_tls_certificate": pems[0], "smtp_tls_key": pems[1], **settings}
    with RunningGateway(folder, **more) as gateway:
        yield gateway


@contextmanager
def client(gateway: RunningGateway, source: str = "127.0.0.1", *, tls: bool = True) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*gateway.smtp, local_hostname="mail.example", timeout=20, source_address=(source, 0)) as connected:
        connected.ehlo()
        if tls:
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            connected.starttls(context=trusting)
            connected.ehlo()
        yield connected


def send(connected: smtplib.SMTP, *recipients: str) -> int:
    code = connected.mail("a@mail.example")[0]
    if code != 250:
        connected.rset()
        return code
    for recipient in recipients or ("tousu@jiesu.example",):
        code = connected.rcpt(recipient)[0]
    return connected.data(mail())[0] if code == 250 else code


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_relay_logs_in_after_starttls_and_hands_mail_in(tmp_path: Path, pems: tuple[Path, Path], mechanism: str) -> None:
    with guarded(tmp_path, pems, smtp_auth_required=True) as gateway, client(gateway) as relay:
        assert "auth" in relay.esmtp_features
        assert send(relay) == 530
        relay.user, relay.password = "relay-1", PASSWORD
        assert relay.auth(mechanism, getattr(relay, f"auth_{mechanism.lower()}"))[0] == 235
        assert send(relay) == 250
        assert gateway.committed()[0].envelope["logged_in"] is True
        assert PASSWORD not in str(gateway.log())


def test_no_password_travels_in_clear(tmp_path: Path, pems: tuple[Path, Path]) -> None:
    with guarded(tmp_path, pems, smtp_auth_required=True) as gateway, client(gateway, tls=False) as relay:
        assert "auth" not in relay.esmtp_features
        assert relay.docmd("AUTH", "PLAIN AHJlbGF5AHg=")[0] == 538
        assert send(relay) == 530


def test_named_relays_need_not_log_in_and_all_others_must(tmp_path: Path, pems: tuple[Path, Path]) -> None:
    with guarded(tmp_path, pems, smtp_trusted_relays="127.0.0.9") as gateway:
        with client(gateway, "127.0.0.9", tls=False) as named:
            assert send(named) == 250
        with client(gateway, "127.0.0.8") as other:
            assert send(other) == 530
            other.login("relay-1", PASSWORD)
            assert send(other) == 250


def test_without_named_relays_logging_in_is_optional(tmp_path: Path, pems: tuple[Path, Path]) -> None:
    with guarded(tmp_path, pems) as gateway, client(gateway, tls=False) as anybody:
        assert send(anybody) == 250


def test_guessing_is_slow_and_ends_the_connection(tmp_path: Path, pems: tuple[Path, Path]) -> None:
    with guarded(tmp_path, pems, smtp_auth_required=True) as gateway:
        codes: list[int] = []
        for _ in range(6):
            with client(gateway) as guessing:
                guessing.user, guessing.password = "relay-1", "wrong"
                for _ in range(3):
                    codes.append(guessing.docmd("AUTH", "PLAIN AHJlbGF5LTEAd3Jvbmc=")[0])
        # The third on a connection ends it; after ten of one address none is tried at all, also not the right one.
        assert codes[:3] == [535, 535, 421]
        assert 454 in codes
        with client(gateway) as right:
            right.user, right.password = "relay-1", PASSWORD
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                right.login("relay-1", PASSWORD)
            assert refused.value.smtp_code == 454
        with client(gateway, "127.0.0.7") as elsewhere:
            assert elsewhere.login("relay-1", PASSWORD)[0] == 235
        assert {line["code"] for line in gateway.log("RelayRefused")} == {"wrong", "too_soon"}


def test_malformed_logins_are_refused_and_nothing_breaks(tmp_path: Path, pems: tuple[Path, Path]) -> None:
    with guarded(tmp_path, pems, smtp_auth_required=True) as gateway, client(gateway) as odd:
        for said in ("PLAIN !!!", "PLAIN AA==", "PLAIN =", "LOGIN /w==", "CRAM-MD5", "PLAIN a b", ""):
            code, _ = odd.docmd("AUTH", said)
            if code == 334:
                code, _ = odd.docmd("/w==")
            assert 500 <= code < 600, said
            assert odd.noop()[0] == 250


def test_the_file_of_passwords_is_for_its_owner_and_read_again(tmp_path: Path) -> None:
    from gateway.clock import SystemClock
    from gateway.oplog import OperatorLog

    path = tmp_path / "users"
    relays.add(path, "one", "first")
    assert path.stat().st_mode & 0o777 == 0o600
    known = relays.Relays(path, SystemClock(), OperatorLog())
    assert known.right("127.0.0.1", "one", "first")
    relays.add(path, "two", "second")
    assert known.right("127.0.0.1", "two", "second")
    assert known.right("127.0.0.1", "one", "second") is False
    with pytest.raises(Refused):
        relays.add(path, "a:b", "x")
    path.write_text("one:secret\n")
    with pytest.raises(BadSetting, match=r"smtp\.users"):
        relays.Relays(path, SystemClock(), OperatorLog())
    path.chmod(0o644)
    with pytest.raises(BadSetting, match="chmod 600"):
        relays.Relays(path, SystemClock(), OperatorLog())


def test_unknown_recipients_are_refused_and_plus_addresses_belong_to_their_mailbox(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, smtp_recipients="tousu@jiesu.example,@yujing.example") as gateway, client(gateway, tls=False) as sender:
        assert send(sender, "nobody@jiesu.example") == 550
        sender.rset()
        sender.mail("a@mail.example")
        assert sender.rcpt("other@relay.example") == (550, b"5.1.1 No such recipient here")
        for taken in ("Tousu+Abc123@Jiesu.example", "anybody@yujing.example", "postmaster", "postmaster@jiesu.example"):
            assert sender.rcpt(taken)[0] == 250, taken
        assert sender.data(mail())[0] == 250
        # The token behind the plus stays, for it says which complaint is answered.
        assert gateway.committed()[0].envelope["rcpt_tos"][0] == "Tousu+Abc123@Jiesu.example"


def test_a_recipient_stands_for_an_estate_and_a_brand(tmp_path: Path) -> None:
    settings = {"smtp_estates": "yujing@jiesu.example = 御景湾, jinxiu.example=锦绣园", "smtp_brands": "jiesu.example=示例置业"}
    with RunningGateway(tmp_path, **settings) as gateway, client(gateway, tls=False) as sender:
        assert send(sender, "yujing+t0k3n@jiesu.example") == 250
        assert send(sender, "x@jinxiu.example") == 250
        numbers = gateway.numbers()

        def told(number: str) -> dict[str, Any] | None:
            whole = gateway.app.records.whole(number)
            return whole if whole and whole["state"] == "routed" else None

        first, second = eventually(lambda: told(numbers[0])), eventually(lambda: told(numbers[1]))
        assert first["customer"]["estate"] == "御景湾"
        assert first["conversation"][0]["brand"] == "示例置业"
        assert second["customer"]["estate"] == "锦绣园"
        assert "brand" not in second["conversation"][0]


def test_an_address_stands_before_its_domain_and_the_first_recipient_before_the_second() -> None:
    here = Recipients((), {"a@x.example": "甲", "x.example": "乙", "y.example": "丙"}, {})
    assert here.stands_for(["b@y.example", "a+1@x.example"]) == {"estate": "甲"}
    assert here.stands_for(["B@X.EXAMPLE", "c@y.example"]) == {"estate": "乙"}
    assert here.stands_for(["c@z.example"]) == {}
    assert bare("A+b+c@X.example.") == "a@x.example"
    assert bare("postmaster") == "postmaster"
