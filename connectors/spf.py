"""Whether an address may send mail of a domain: SPF (RFC 7208), whole, within its own limits."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote

from connectors.dns_lookup import DnsAway, Lookup

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 7208 4.6.4: terms that ask the DNS, questions without an answer, and names looked at for mx and ptr.
_MOST_TERMS, _MOST_VOID, _MOST_NAMES = 10, 2, 10
_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TERM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::((?:%\{[^}]*\}|%(?!\{)|[^/%])*))?((?:/\d+)?(?://\d+)?)", re.I)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_MACRO = re.compile(r"%(?:\{([slodiphcrtvSLODIPHCRTV])(\d*)(r?)([.+,/_=-]*)\}|(%|_|-))", re.I)


class _Broken(Exception):
    """The record is wrong, or asks for too much: `permerror`."""


class _Check:
    """One check, which counts what it asks."""

    def __init__(self, lookup: Lookup, ip: Ip, sender: str, helo: str) -> None:
        self._lookup, self._ip, self._sender, self._helo = lookup, ip, sender, helo
        self._six = ip.version == 6
        self._terms = self._void = 0

    def of(self, domain: str) -> str:
        """The result for a domain (RFC 7208 4)."""
        if "." not in domain.strip("."):
            return "none"
        records = [text for text in self._lookup.txt(domain) if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
        if not records:
            return "none"
        if len(records) > 1:
            raise _Broken
        redirect = ""
        mechanisms: list[re.Match[str]] = []
        for term in records[0].split()[1:]:
            modifier = _MODIFIER.fullmatch(term)
            mechanism = _TERM.fullmatch(term)
            if modifier and not mechanism:
                if modifier[1].lower() == "redirect":
                    redirect = modifier[2]
            elif mechanism:
                mechanisms.append(mechanism)
            else:
                raise _Broken
        for mechanism in mechanisms:
            if self._matches(domain, mechanism[2].lower(), mechanism[3] or "", mechanism[4]):
                return _RESULTS[mechanism[1] or "+"]
        if redirect:
            self._count()
            result = self.of(self._spelt(redirect, domain))
            if result == "none":
                raise _Broken
            return result
        return "neutral"

    def _matches(self, domain: str, kind: str, said: str, length: str) -> bool:
        if kind == "all":
            return True
        if kind in ("ip4", "ip6"):
            return self._within_network(kind, said + length)
        self._count()
        target = self._spelt(said, domain) if said else domain
        if kind == "include":
            if not said:
                raise _Broken
            result = self.of(target)
            if result == "none":
                raise _Broken
            return result == "pass"
        if kind == "exists":
            return bool(self._found(self._lookup.addresses(target, six=False)))
        four, _, six = length.partition("//")
        bits = int(six or 128) if self._six else int(four.strip("/") or 32)
        if kind == "a":
            return self._among(self._found(self._lookup.addresses(target, six=self._six)), bits)
        if kind == "mx":
            hosts = self._found(self._lookup.mx(target))
            if len(hosts) > _MOST_NAMES:
                raise _Broken
            return any(self._among(self._lookup.addresses(host, six=self._six), bits) for host in hosts)
        names = self._found(self._lookup.ptr(str(self._ip)))[:_MOST_NAMES]
        under = [name for name in names if name.lower() == target.lower() or name.lower().endswith("." + target.lower())]
        return any(self._among(self._lookup.addresses(name, six=self._six), 128 if self._six else 32) for name in under)

    def _within_network(self, kind: str, said: str) -> bool:
        try:
            network = ipaddress.ip_network(said, strict=False)
        except ValueError:
            raise _Broken from None
        if network.version != (4 if kind == "ip4" else 6):
            raise _Broken
        return network.version == self._ip.version and self._ip in network

    def _among(self, addresses: list[str], bits: int) -> bool:
        if bits > (128 if self._six else 32):
            raise _Broken
        return any(self._ip in ipaddress.ip_network(f"{address}/{bits}", strict=False) for address in addresses)

    def _count(self) -> None:
        self._terms += 1
        if self._terms > _MOST_TERMS:
            raise _Broken

    def _found(self, answers: list[str]) -> list[str]:
        if not answers:
            self._void += 1
            if self._void > _MOST_VOID:
                raise _Broken
        return answers

    def _spelt(self, text: str, domain: str) -> str:
        """The text with its macros filled in (RFC 7208 7)."""
        if "%" in _MACRO.sub("", text):
            raise _Broken
        return _MACRO.sub(lambda macro: self._macro(macro, domain), text)[-253:]

    def _macro(self, macro: re.Match[str], domain: str) -> str:
        if macro[5]:
            return {"%": "%", "_": " ", "-": "%20"}[macro[5]]
        local, _, of = self._sender.rpartition("@")
        dotted = str(self._ip) if not self._six else ".".join(self._ip.exploded.replace(":", ""))
        values = {
            "s": self._sender,
            "l": local,
            "o": of,
            "d": domain,
            "i": dotted,
            # Deprecated by 5.5, and costs questions: never looked up.
            "p": "unknown",
            "h": self._helo,
            "v": "ip6" if self._six else "in-addr",
        }
        value = values.get(macro[1].lower())
        if value is None:
            raise _Broken
        parts = re.split(f"[{re.escape(macro[4] or '.')}]", value)
        if macro[3]:
            parts.reverse()
        if macro[2]:
            if int(macro[2]) == 0:
                raise _Broken
            parts = parts[-int(macro[2]) :]
        value = ".".join(parts)
        return quote(value, safe="") if macro[1].isupper() else value


def check(lookup: Lookup, address: str, mail_from: str, helo: str) -> tuple[str, str]:
    """The result (`pass`, `fail`, `softfail`, `neutral`, `none`, `temperror`, `permerror`) and the domain that it is about.

    mail_from: the return path; where it is empty the name that the client greeted with stands for it (RFC 7208 2.4).
    """
    sender = mail_from if "@" in mail_from else f"postmaster@{helo}"
    local, _, domain = sender.rpartition("@")
    try:
        ip = ipaddress.ip_address(address)
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return _Check(lookup, ip, f"{local or 'postmaster'}@{domain}", helo).of(domain), domain
    except DnsAway:
        return "temperror", domain
    except (_Broken, ValueError, RecursionError):
        return "permerror", domain
