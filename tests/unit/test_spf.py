"""SPF against a real DNS server: every mechanism, the limits, the macros and the errors of RFC 7208."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from dns_server import DnsServer

from connectors import spf
from connectors.dns_lookup import Lookup

ZONES = {
    ("a.example", "TXT"): ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", "something else"],
    ("soft.example", "TXT"): ["v=spf1 ~all"],
    ("neutral.example", "TXT"): ["v=spf1 ip4:198.51.100.1"],
    ("question.example", "TXT"): ["v=spf1 ?all"],
    ("two.example", "TXT"): ["v=spf1 -all", "v=spf1 +all"],
    ("old.example", "TXT"): ["v=spf10 -all"],
    ("host.example", "TXT"): ["V=SPF1 A:mail.host.example/28 MX -ALL"],
    ("mail.host.example", "A"): ["192.0.2.20"],
    ("mail.host.example", "AAAA"): ["2001:db8::20"],
    ("host.example", "MX"): ["10 mx1.host.example.", "5 mx2.host.example."],
    ("mx1.host.example", "A"): ["203.0.113.1"],
    ("mx2.host.example", "A"): ["203.0.113.2"],
    ("in.example", "TXT"): ["v=spf1 include:a.example -all"],
    ("in-nothing.example", "TXT"): ["v=spf1 include:nothing.example -all"],
    ("to.example", "TXT"): ["v=spf1 redirect=a.example"],
    ("to-nothing.example", "TXT"): ["v=spf1 redirect=nothing.example"],
    ("loop.example", "TXT"): ["v=spf1 include:loop.example -all"],
    ("bad.example", "TXT"): ["v=spf1 ip4:192.0.2.300 -all"],
    ("unknown.example", "TXT"): ["v=spf1 magic:x -all"],
    ("modifier.example", "TXT"): ["v=spf1 moo=cow ip4:192.0.2.1 exp=why.example -all"],
    ("void.example", "TXT"): ["v=spf1 a:n1.example a:n2.example a:n3.example +all"],
    ("many.example", "TXT"): ["v=spf1 " + " ".join(f"exists:e{n}.many.example" for n in range(11)) + " +all"],
    ("macro.example", "TXT"): ["v=spf1 exists:%{ir}.%{l1r+}._spf.%{d} -all"],
    ("7.2.0.192.lin._spf.macro.example", "A"): ["127.0.0.2"],
    ("bad-macro.example", "TXT"): ["v=spf1 exists:%{q}.example -all"],
    ("ptr.example", "TXT"): ["v=spf1 ptr -all"],
    ("7.2.0.192.in-addr.arpa", "PTR"): ["out.ptr.example."],
    ("out.ptr.example", "A"): ["192.0.2.7"],
    ("helo.example", "TXT"): ["v=spf1 ip4:192.0.2.7 -all"],
    ("slow.example", "TXT"): ["v=spf1 a:" + "%{}" * 400 + "/x -all"],
    ("long.example", "TXT"): ["v=spf1 " + " ".join(f"ip4:10.0.{n}.0/24" for n in range(40)) + " -all"],
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    with DnsServer(ZONES) as running:
        yield running


@pytest.mark.parametrize(
    ("domain", "address", "result"),
    [
        ("a.example", "192.0.2.7", "pass"),
        ("a.example", "::ffff:192.0.2.7", "pass"),
        ("a.example", "198.51.100.7", "fail"),
        ("a.example", "2001:db8::7", "pass"),
        ("a.example", "2001:db9::7", "fail"),
        ("soft.example", "192.0.2.7", "softfail"),
        ("neutral.example", "192.0.2.7", "neutral"),
        ("question.example", "192.0.2.7", "neutral"),
        ("nothing.example", "192.0.2.7", "none"),
        ("old.example", "192.0.2.7", "none"),
        ("example", "192.0.2.7", "none"),
        ("two.example", "192.0.2.7", "permerror"),
        ("host.example", "192.0.2.17", "pass"),
        ("host.example", "192.0.2.40", "fail"),
        ("host.example", "2001:db8::20", "pass"),
        ("host.example", "203.0.113.2", "pass"),
        ("in.example", "192.0.2.7", "pass"),
        ("in.example", "198.51.100.7", "fail"),
        ("in-nothing.example", "192.0.2.7", "permerror"),
        ("to.example", "192.0.2.7", "pass"),
        ("to-nothing.example", "192.0.2.7", "permerror"),
        ("loop.example", "192.0.2.7", "permerror"),
        ("bad.example", "192.0.2.7", "permerror"),
        ("unknown.example", "192.0.2.7", "permerror"),
        ("modifier.example", "192.0.2.1", "pass"),
        ("void.example", "192.0.2.7", "permerror"),
        ("many.example", "192.0.2.7", "permerror"),
        ("macro.example", "192.0.2.7", "pass"),
        ("macro.example", "192.0.2.8", "fail"),
        ("bad-macro.example", "192.0.2.7", "permerror"),
        ("ptr.example", "192.0.2.7", "pass"),
        ("ptr.example", "192.0.2.8", "fail"),
        ("slow.example", "192.0.2.7", "permerror"),
        ("long.example", "10.0.39.1", "pass"),
        ("..example", "192.0.2.7", "none"),
        ("x" * 70 + ".example", "192.0.2.7", "none"),
        ("a.example", "unix", "permerror"),
    ],
)
def test_the_result_is_that_of_the_standard(server: DnsServer, domain: str, address: str, result: str) -> None:
    assert spf.check(Lookup([server.address], 5), address, f"lin+x@{domain}", "helo.example") == (result, domain)


def test_an_empty_return_path_is_answered_for_by_the_greeting(server: DnsServer) -> None:
    assert spf.check(Lookup([server.address], 5), "192.0.2.7", "", "helo.example") == ("pass", "helo.example")


def test_a_dns_that_is_silent_or_broken_is_a_passing_error_in_bounded_time() -> None:
    with DnsServer(ZONES) as server:
        server.broken = True
        assert spf.check(Lookup([server.address], 5), "192.0.2.7", "a@a.example", "x")[0] == "temperror"
        server.broken, server.silent = False, True
        begun = time.monotonic()
        assert spf.check(Lookup([server.address], 0.5), "192.0.2.7", "a@a.example", "x")[0] == "temperror"
        assert time.monotonic() - begun < 3
