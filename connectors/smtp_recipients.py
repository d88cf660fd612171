"""Which recipients the door for mail takes, and which estate or brand each of them stands for.

There is no relaying: whatever is taken is taken in. `tousu+anything@…` belongs to `tousu@…`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


def bare(address: str) -> str:
    """The address without what stands behind a plus, in small letters: `Tousu+a1@X.example` is `tousu@x.example` (RFC 5233)."""
    local, at, domain = address.rpartition("@") if "@" in address else (address, "", "")
    return f"{local.partition('+')[0]}{at}{domain.rstrip('.')}".lower()


def is_mailbox(address: str) -> bool:
    """Whether somebody can be meant by a recipient at all: a mailbox, in UTF-8 (RFC 6531), mostly with a domain (RFC 5321 4.1.2, 4.5.1).

    A null path takes no mail, and bytes that are no UTF-8 arrive as lone surrogates.
    """
    local, at, domain = address.rpartition("@") if "@" in address else (address, "", "")
    readable = not any("\ud800" <= char <= "\udfff" for char in address)
    return readable and local.strip("<> ") != "" and bool(domain) == bool(at)


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients of one door.

    allowed: addresses, or domains as `x.example` or `@x.example`; empty: all.
    estates, brands: what a recipient stands for, by address (`tousu-yujing@x.example`) or domain.
    """

    allowed: Sequence[str] = ()
    estates: Mapping[str, str] = field(default_factory=dict)
    brands: Mapping[str, str] = field(default_factory=dict)

    def takes(self, address: str) -> bool:
        """Whether mail for this recipient is taken in. Postmaster always is, where his domain is (RFC 5321 4.5.1)."""
        if not self.allowed:
            return True
        plain = bare(address)
        names = {name.lower().removeprefix("@") for name in self.allowed}
        names |= {name.lower() for table in (self.estates, self.brands) for name in table}
        local, _, domain = plain.rpartition("@")
        if plain == "postmaster" or (local == "postmaster" and any(name.rpartition("@")[2] == domain for name in names)):
            return True
        return plain in names or domain in names

    def stands_for(self, addresses: Sequence[str]) -> dict[str, str]:
        """The `estate` and the `brand` that these recipients stand for; of several the first, and an address before its domain."""
        found: dict[str, str] = {}
        for key, table in (("estate", self.estates), ("brand", self.brands)):
            if not table:
                continue
            known = {name.lower().removeprefix("@"): value for name, value in table.items()}
            plain = [bare(address) for address in addresses]
            for name in [*plain, *(address.rpartition("@")[2] for address in plain)]:
                if name in known:
                    found[key] = known[name]
                    break
        return found
