"""Signed reply tokens: who can show one was told it by us, and may write into that complaint (threats: row 9).

A token is made of a complaint's number and 60 bits of HMAC-SHA256 over it. It stands in the subject, `[TS-20261123-0042-k7d2mq4axbcd]`,
and, where the mail server can, in the reply address, `tousu+20261123-0042-k7d2mq4axbcd@example.com`. Only small letters and the digits 2
to 7: mail servers and people change the rest.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

# Mail programs fold long subjects, and leave a blank where they did; the signature still says whether it is ours.
_IN_SUBJECT = re.compile(r"TS-(\d{8}-\d{4,9})(?:-\s?([a-z2-7](?:\s?[a-z2-7]){11})(?![a-z0-9]))?", re.IGNORECASE | re.ASCII)
_IN_ADDRESS = re.compile(r"\+(\d{8}-\d{4,9})-([a-z2-7]{12})@", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Shown:
    """The numbers that a mail shows: with a token that is ours, and without one, which anybody can write."""

    signed: tuple[str, ...]
    bare: tuple[str, ...]


class ReplyTokens:
    """Makes tokens and knows its own. `secret` is the installation's."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"jiesu reply token\0" + secret.encode()).digest()

    def token(self, number: str) -> str:
        """The token of a complaint."""
        whole = hmac.new(self._key, number.encode(), hashlib.sha256).digest()
        return base64.b32encode(whole)[:12].decode("ascii").lower()

    def tag(self, number: str) -> str:
        """What stands in a subject."""
        return f"[{number}-{self.token(number)}]"

    def reply_address(self, address: str, number: str) -> str:
        """The address with the token in it."""
        local, _, domain = address.partition("@")
        return f"{local}+{number.removeprefix('TS-')}-{self.token(number)}@{domain}"

    def shown(self, subject: str, addresses: Iterable[str]) -> Shown:
        """The numbers that subject and recipients' addresses show."""
        return self._shown(subject[:1000], [address[:400] for address in addresses])

    def signed_in(self, text: str) -> tuple[str, ...]:
        """The numbers that a text shows with a token that is ours, as a subject or an address has it."""
        return self._shown(text, [text]).signed

    def _shown(self, subject: str, addresses: Iterable[str]) -> Shown:
        found = [match.groups() for address in addresses for match in _IN_ADDRESS.finditer(address)]
        found += [match.groups() for match in _IN_SUBJECT.finditer(subject)]
        signed: dict[str, None] = {}
        bare: dict[str, None] = {}
        for day, token in found:
            number = f"TS-{day}"
            ours = token is not None and hmac.compare_digest("".join(token.lower().split()), self.token(number))
            (signed if ours else bare)[number] = None
        return Shown(tuple(signed), tuple(number for number in bare if number not in signed))
