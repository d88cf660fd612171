"""Who writes the mails of a complaint: whose complaint it is, where answers to him go, and who else has written into it (docs/email.md).

An address that merely stands in a text is nobody's: customers name those of whom they complain. What counts is who sent the mail that
began the complaint, and what a channel knows of who speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.store.complaints import MessageRow
from models.answer import box_of
from models.complaint import Customer
from models.submission import Channel

# What came in besides what somebody wrote into the complaint.
_NO_WORD = frozenset({"bounce", "duplicate"})


class Mailing(Protocol):
    """What of the settings `[mail]` is looked at."""

    @property
    def from_address(self) -> str:
        """From whom."""
        ...

    @property
    def other_addresses(self) -> Sequence[str]:
        """Further addresses of ours."""
        ...

    @property
    def phone(self) -> str:
        """Our phone."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """How we are reached: never how a customer is."""

    boxes: frozenset[str] = frozenset()
    phone: str = ""

    def has(self, address: str | None) -> bool:
        """Whether an address is one of ours."""
        return bool(address) and box_of(address or "") in self.boxes


# Where nothing of ours is known.
NOTHING_OF_OURS = Ours()


def ours_of(mail: Mailing) -> Ours:
    """Our addresses and our phone by the settings."""
    boxes = frozenset(box_of(one) for one in (mail.from_address, *mail.other_addresses) if one)
    return Ours(boxes, "".join(char for char in mail.phone if char.isdigit()))


def is_mail(message: MessageRow) -> bool:
    """Whether a message came by mail."""
    return message.details.get("from_email") is not None


def writer_of(details: Mapping[str, Any]) -> str:
    """The address of who wrote a mail, by its details; empty where it does not say.

    Some lists put their own address into From, for the sake of DMARC, and the writer's into Reply-To; a list's box is all its members'.
    """
    address, its = str(details.get("from_email") or ""), _box(details.get("list_box"))
    if its and _box(address) == its:
        address = str(details.get("reply_to") or "")
    return "" if its and _box(address) == its else address


def sender_box(details: Mapping[str, Any]) -> str:
    """Whose box a mail came from, by its details; empty where it does not say."""
    return _box(writer_of(details))


def through_list(message: MessageRow) -> bool:
    """Whether a mail came through a mailing list: nothing automatic answers it, and yet a person may have written it."""
    return message.details.get("auto_reason") == "list"


def beginning(messages: Sequence[MessageRow]) -> MessageRow | None:
    """The mail that began the complaint; None where it began on another channel."""
    return next((message for message in messages if is_mail(message) and "joined" not in message.parsed), None)


def customer_boxes(messages: Sequence[MessageRow], ours: Ours) -> frozenset[str]:
    """The boxes of whom the complaint by mail is: that from which it began, and the one to which he wanted the answer."""
    first = beginning(messages)
    if first is None:
        return frozenset()
    boxes = {sender_box(first.details), _wanted(first, ours)} - {""}
    # Our own address in Reply-To is no wish of his.
    return frozenset(boxes if writer_of(first.details) == first.details.get("from_email") else boxes - ours.boxes)


def by_others(messages: Sequence[MessageRow], ours: Ours) -> list[MessageRow]:
    """The mails that came from another address than the one with which the complaint began."""
    first, boxes = beginning(messages), customer_boxes(messages, ours)
    if first is None:
        return []
    return [message for message in messages if is_mail(message) and message.id != first.id and sender_box(message.details) not in boxes]


def may_write(messages: Sequence[MessageRow], ours: Ours) -> AbstractSet[str]:
    """Whose mails belong to a complaint: who began it or was let in, and how the channel knows whoever wrote by another one."""
    boxes = set(customer_boxes(messages, ours))
    for message in messages:
        if not is_mail(message):
            boxes |= {_box(message.hints.email)} - ours.boxes
        elif not message.machine and _how(message) not in _NO_WORD:
            # What a machine writes lets nobody in.
            boxes.add(sender_box(message.details))
    return boxes - {""}


def answerable(messages: Sequence[MessageRow], ours: Ours) -> tuple[str, MessageRow] | None:
    """Where answers to whom a complaint by mail is of go, and his mail that says so, the last one that a person wrote; None without a mail.

    Whoever else shows our token has been told of the complaint by the customer, and is answered by nobody but him.
    """
    first, boxes = beginning(messages), customer_boxes(messages, ours)
    if first is None:
        return None
    his = [message for message in messages if message.id == first.id or (is_mail(message) and sender_box(message.details) in boxes)]
    last = ([message for message in his if not message.machine] or his)[-1]
    # A later Reply-To could have been written by whoever forges his address.
    wanted = _wanted(last, ours)
    to = str(last.details.get("reply_to")) if wanted and wanted in boxes else writer_of(last.details)
    return to, last


def known_customer(channel: Channel, found: Customer, messages: Sequence[MessageRow], ours: Ours) -> Customer:
    """Who complains: what he says of himself, then what the newest envelopes say of him.

    found: what stands in his texts. How to reach him is never how we are reached, and by mail nothing but his own address.
    """
    others = {message.id for message in by_others(messages, ours)}
    his = [message for message in messages if message.id not in others]
    hints = [message.hints for message in his]
    if channel is Channel.EMAIL:
        to = answerable(messages, ours)
        found = replace(found, email=to[0] or None if to else None)
        hints = [replace(one, email=None) for one in hints]
    else:
        # What the channel knows of who speaks goes before the senders of mails that joined.
        hints = [message.hints for message in sorted(his, key=is_mail, reverse=True)]
    known = _without(found, ours)
    for one in reversed(hints):
        known = known.or_else(_without(one, ours))
    return known


def _without(customer: Customer, ours: Ours) -> Customer:
    """A customer without what is ours."""
    if ours.has(customer.email):
        customer = replace(customer, email=None)
    phone = "".join(char for char in customer.phone or "" if char.isdigit())
    return replace(customer, phone=None) if phone and phone == ours.phone else customer


def _wanted(message: MessageRow, ours: Ours) -> str:
    """The box to which a mail's sender wants answers; empty where he does not say, names one of ours, or a list does.

    A web form's robot says here who filled it in.
    """
    box = "" if through_list(message) else _box(message.details.get("reply_to"))
    return "" if box in ours.boxes else box


def _how(message: MessageRow) -> str:
    joined: dict[str, Any] = message.parsed.get("joined", {})
    return str(joined.get("by", ""))


def _box(address: object) -> str:
    return box_of(str(address)) if address else ""
