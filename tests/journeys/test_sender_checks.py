"""Whether a mail comes from the domain that it names: really signed mails, a real DNS server, a real gateway; recorded, never enforced."""

from __future__ import annotations

import base64
import shutil
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest
from console_house import person
from dns_server import DnsServer
from fakes import eventually
from running import RunningGateway
from sqlalchemy import select

from models.staff import Role
from models.tables import complaints, messages

BODY = "我家墙面漏水，产品质量有问题。\r\n".encode()


@pytest.fixture(scope="module")
def key() -> tuple[bytes, str]:
    """A private key as PEM, and what the DNS says of its public half."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a key with; apt-get install openssl")
    private = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, check=True, timeout=60).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=private, capture_output=True, check=True, timeout=60)
    return private, "v=DKIM1; k=rsa; p=" + base64.b64encode(public.stdout).decode()


@pytest.fixture
def dns(key: tuple[bytes, str]) -> Iterator[DnsServer]:
    records = {
        ("lin.example", "TXT"): ["v=spf1 ip4:127.0.0.1 -all"],
        ("_dmarc.lin.example", "TXT"): ["v=DMARC1; p=reject; sp=quarantine"],
        ("s1._domainkey.lin.example", "TXT"): [key[1]],
        ("mail.lin.example", "TXT"): ["v=spf1 ip4:127.0.0.1 -all"],
        ("evil.example", "TXT"): ["v=spf1 +all"],
        ("strict.example", "TXT"): ["v=spf1 -all"],
        ("_dmarc.strict.example", "TXT"): ["v=DMARC1; p=none; adkim=s; aspf=s"],
        ("s1._domainkey.strict.example", "TXT"): [key[1]],
    }
    with DnsServer(records) as server:
        yield server


def mail(sender: str = "lin@lin.example", *more: str) -> bytes:
    return "".join(
        f"{line}\r\n" for line in (f"From: Lin <{sender}>", "To: tousu@jiesu.example", "Subject: complaint", *more, "")
    ).encode() + BODY  # fmt: skip


def signed(raw: bytes, key: bytes, domain: str = "lin.example") -> bytes:
    return dkim.sign(raw, b"s1", domain.encode(), key, include_headers=[b"From", b"To", b"Subject"]) + raw


def check(gateway: RunningGateway, raw: bytes, mail_from: str = "lin@lin.example") -> dict[str, Any]:
    """Sends the mail, which must be taken in, and returns what was recorded of it."""
    with smtplib.SMTP(*gateway.smtp, local_hostname="helo.example", timeout=20) as connected:
        connected.ehlo()
        connected.mail(mail_from)
        connected.rcpt("tousu@jiesu.example")
        code, answer = connected.data(raw)
        assert code == 250, answer
    number = answer.decode().split()[-1]

    def found() -> dict[str, Any] | None:
        with gateway.app.store.read() as conn:
            parsed = conn.execute(select(messages.c.parsed).where(messages.c.number == number)).scalar_one_or_none()
        return (parsed or {}).get("details", {}).get("authenticity")

    return eventually(found)  # type: ignore[no-any-return]


def brief(found: dict[str, Any]) -> tuple[str, list[str], str]:
    return found["spf"]["result"], [one["result"] for one in found["dkim"]], found["dmarc"]["result"]


def test_real_mails_are_judged_as_the_standards_say(tmp_path: Path, dns: DnsServer, key: tuple[bytes, str]) -> None:
    private = key[0]
    with RunningGateway(tmp_path, smtp_senders="always", smtp_dns_servers=dns.address) as gateway:
        whole = check(gateway, signed(mail(), private))
        assert brief(whole) == ("pass", ["pass"], "pass")
        assert whole["dmarc"] == {"result": "pass", "domain": "lin.example", "policy": "reject"}
        assert whole["by"] == "jiesu"
        # Changed on its way: the signature fails, and what SPF says still counts.
        assert brief(check(gateway, signed(mail(), private).replace("漏水".encode(), "裂缝".encode()))) == ("pass", ["fail"], "pass")
        # Sent on by somebody else's server: SPF fails, the signature still counts.
        assert brief(check(gateway, signed(mail(), private), "list@strict.example")) == ("fail", ["pass"], "pass")
        # Another domain in From than in the return path: forged.
        forged = check(gateway, mail(), "x@evil.example")
        assert brief(forged) == ("pass", [], "fail")
        assert forged["dmarc"]["policy"] == "reject"
        # A subdomain belongs to the organisation, unless strictness is asked for, and has the policy for subdomains.
        below = check(gateway, signed(mail("lin@mail.lin.example"), private), "x@evil.example")
        assert below["dmarc"] == {"result": "pass", "domain": "mail.lin.example", "policy": "quarantine"}
        assert brief(check(gateway, signed(mail("a@strict.example"), private), "x@evil.example")) == ("pass", ["pass"], "fail")
        assert brief(check(gateway, signed(mail("a@strict.example"), private, "strict.example"), "x@evil.example"))[2] == "pass"
        # Nothing published, nothing to say.
        assert brief(check(gateway, mail("a@nothing.example"), "a@nothing.example")) == ("none", [], "none")
        # No sender at all, and things that are no signature.
        assert check(gateway, b"Subject: x\r\n\r\nx\r\n", "")["dmarc"]["result"] == "permerror"
        odd = b"DKIM-Signature: v=1; a=rsa-sha256; d=lin.example; s=\xff; b=x; bh=x; h=from\r\nDKIM-Signature: nonsense\r\n"
        assert brief(check(gateway, odd + mail()))[1:] == (["permerror", "permerror"], "pass")
        assert brief(check(gateway, b"\x00\xff" * 50 + b"\r\n" + mail()))[0] == "pass"


def test_a_dns_that_fails_refuses_and_delays_nothing(tmp_path: Path, dns: DnsServer, key: tuple[bytes, str]) -> None:
    with RunningGateway(tmp_path, smtp_senders="always", smtp_dns_servers=dns.address, smtp_dns_seconds=0.5) as gateway:
        dns.broken = True
        assert brief(check(gateway, signed(mail(), key[0]))) == ("temperror", ["temperror"], "temperror")
        dns.broken, dns.silent = False, True
        assert brief(check(gateway, signed(mail(), key[0]) + b"again\r\n")) == ("temperror", ["temperror"], "temperror")

        def routed() -> bool:
            with gateway.app.store.read() as conn:
                return set(conn.execute(select(complaints.c.state)).scalars()) == {"routed"}

        # Sorting has waited for none of it.
        assert eventually(routed)


def test_what_the_relay_has_found_out_is_taken_and_what_others_write_is_not(tmp_path: Path, dns: DnsServer) -> None:
    stamp = (
        "Authentication-Results: mx.our.example (a; spf=fail) 1; spf=pass smtp.mailfrom=x@lin.example;\r\n dkim=fail header.d=lin.example"
    )
    stamp += '; dmarc=fail (p=reject; "dmarc=pass") header.from=lin.example'
    settings = {"smtp_dns_servers": dns.address, "smtp_authserv_id": "mx.our.example", "smtp_trusted_relays": "127.0.0.1"}
    with RunningGateway(tmp_path, **settings) as gateway:
        found = check(gateway, mail("lin@lin.example", "Authentication-Results: other.example; spf=fail", stamp))
        assert found == {
            "by": "mx.our.example",
            "spf": {"result": "pass", "domain": "lin.example"},
            "dkim": [{"result": "fail", "domain": "lin.example"}],
            "dmarc": {"result": "fail", "domain": "lin.example"},
        }
        # The topmost of its name is its own; those below came with the mail.
        found = check(gateway, mail("a@lin.example", "Authentication-Results: MX.our.example; dmarc=pass", stamp))
        assert found["dmarc"]["result"] == "pass"
        # One that only begins with the name is another's; then we look ourselves, but where it came from only the relay knows.
        found = check(gateway, mail("b@lin.example", "Authentication-Results: mx.our.example.evil.example; dmarc=pass"))
        assert (found["by"], brief(found)) == ("jiesu", ("none", [], "none"))


def test_a_forged_staff_sender_is_a_customer(tmp_path: Path, dns: DnsServer) -> None:
    with RunningGateway(tmp_path, smtp_senders="always", smtp_dns_servers=dns.address) as gateway:
        found = check(gateway, mail("lead@lin.example"), "x@evil.example")
        assert found["dmarc"]["result"] == "fail"
        number = gateway.numbers()[0]
        told = gateway.app.records.whole(number)
        assert told is not None
        assert [one["authenticity"]["dmarc"]["result"] for one in told["conversation"]] == ["fail"]
        assert "产品质量" in told["conversation"][0]["said"]
        # The page says so, in both languages, and what the sender chose of it is shown as text.
        agent = person(gateway, "agent", Role.AGENT)
        page = agent.get(f"/console/complaints/{number}").text
        assert "发件域核对" in page
        assert "发件人可能是冒用的" in page
        assert "SPF 通过" in page
        hostile = check(gateway, mail("a@lin.example", "DKIM-Signature: v=1; a=rsa-sha256; d=<script>x</script>; s=a; b=x; bh=x; h=from"))
        assert hostile["dkim"][0]["result"] == "permerror"
        assert "<script>x" not in agent.get(f"/console/complaints/{gateway.numbers()[1]}").text


def test_nothing_is_asked_of_mail_from_our_own_network_unless_wanted(tmp_path: Path, dns: DnsServer) -> None:
    with RunningGateway(tmp_path, smtp_dns_servers=dns.address) as gateway, smtplib.SMTP(*gateway.smtp, timeout=20) as connected:
        connected.sendmail("lin@lin.example", ["tousu@jiesu.example"], mail())

        def routed() -> bool:
            with gateway.app.store.read() as conn:
                return list(conn.execute(select(complaints.c.state)).scalars()) == ["routed"]

        assert eventually(routed)
        assert dns.asked == []
        assert gateway.log("SenderChecked") == []
