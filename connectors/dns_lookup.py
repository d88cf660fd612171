"""Questions to the DNS within one deadline, for checking where a mail comes from. The only home of dnspython."""

from __future__ import annotations

import time
from collections.abc import Sequence

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
import dns.reversename

# The longest that one question may take.
_QUESTION_SECONDS = 4.0
# So many characters of a text record are read; whoever publishes it may be hostile.
_LONGEST_TEXT = 4096


class NoDns(Exception):
    """There is no DNS server to ask."""


class DnsAway(Exception):
    """The DNS does not answer in time, or answers that it cannot: the result of a check may be another later."""


class Lookup:
    """Answers for one mail.

    servers: addresses, with `#port` where it is not 53; empty: the system's. seconds: for all questions together.
    """

    def __init__(self, servers: Sequence[str], seconds: float) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=not servers)
        except dns.exception.DNSException as error:
            raise NoDns from error
        if servers:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(server.partition("#")[0], int(server.partition("#")[2] or 53)) for server in servers
            ]
        self._ends = time.monotonic() + seconds
        self._known: dict[tuple[str, str], list[str]] = {}

    def txt(self, name: str) -> list[str]:
        """The TXT records of a name, each joined to one text."""
        return self._ask(name, "TXT")

    def addresses(self, name: str, *, six: bool) -> list[str]:
        """Its A records, or its AAAA records."""
        return self._ask(name, "AAAA" if six else "A")

    def mx(self, name: str) -> list[str]:
        """The hosts that take its mail, best first."""
        return self._ask(name, "MX")

    def ptr(self, address: str) -> list[str]:
        """The names of an address."""
        return self._ask(dns.reversename.from_address(address).to_text(), "PTR")

    def _ask(self, name: str, kind: str) -> list[str]:
        """The answers, none where there are none. Raises `DnsAway`."""
        key = (name.lower().rstrip("."), kind)
        if key not in self._known:
            self._known[key] = self._answers(*key)
        return self._known[key]

    def _answers(self, name: str, kind: str) -> list[str]:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise DnsAway
        try:
            asked = dns.name.from_text(name)
            found = self._resolver.resolve(asked, kind, lifetime=min(left, _QUESTION_SECONDS), raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.resolver.LifetimeTimeout, dns.resolver.NoNameservers, OSError):
            raise DnsAway from None
        except (dns.exception.DNSException, ValueError, UnicodeError):
            # No name at all, such as one with an empty label.
            return []
        records = list(found.rrset or ())
        if kind == "TXT":
            return [b"".join(record.strings)[:_LONGEST_TEXT].decode("utf-8", "replace") for record in records[:50]]
        if kind == "MX":
            return [record.exchange.to_text(omit_final_dot=True) for record in sorted(records, key=lambda one: one.preference)]
        return [record.to_text().rstrip(".") for record in records]
