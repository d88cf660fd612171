"""Notices for people: what they are told beside the tickets, by which robots, and how one try of telling them ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from models.verdict import Risk


class NoticeKind(StrEnum):
    """What people are told of."""

    # A term of the plan ends soon, or has ended (预案 4.3).
    DUE_SOON = "due_soon"
    OVERDUE = "overdue"
    # What may come of a complaint (预案 二).
    RISK = "risk"
    # Several homes of one estate complain of the same.
    GROUP = "group"
    # Whoever is told of events does not take them, is switched off, or is well again.
    ENDPOINT_FAILING = "endpoint_failing"
    ENDPOINT_DISABLED = "endpoint_disabled"
    ENDPOINT_BACK = "endpoint_back"
    # Work was put aside and waits for a person.
    PARKED = "parked"
    # The nightly reconciliation cannot account for everything.
    UNEXPLAINED = "unexplained"
    MAILBOX_FAILING = "mailbox_failing"
    MAILBOX_BACK = "mailbox_back"

    @property
    def of_a_complaint(self) -> bool:
        """Whether it is about complaints, which have a class and a department, and not about the system."""
        return self in OF_COMPLAINTS


OF_COMPLAINTS = frozenset({NoticeKind.DUE_SOON, NoticeKind.OVERDUE, NoticeKind.RISK, NoticeKind.GROUP})


class Term(StrEnum):
    """The two terms of the plan: until when the customer must have heard, and until when the matter should be settled."""

    REPLY = "reply"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell people, without personal data.

    key:         its cause; there is never a second notice of one key.
    subject:     what it is about, so that the notice before it is found: a complaint's number, an endpoint, a mailbox, …
    number:      the complaint's; empty where it is about none or about several.
    departments: codes of those whom it concerns, those that the plan wants to know (升级) included.
    urgent:      whether it is told in quiet hours, too.
    facts:       what its words are made of, JSON; by kind (`gateway/notice_words.py`).
    id:          0 until it is kept.
    """

    key: str
    kind: NoticeKind
    at: datetime
    subject: str
    number: str = ""
    departments: tuple[str, ...] = ()
    klass: str | None = None
    estate: str | None = None
    urgent: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0

    @property
    def risks(self) -> tuple[str, ...]:
        """The risks that were found, where it is about them."""
        return tuple(self.facts.get("risk", ())) if self.kind is NoticeKind.RISK else ()


class RobotKind(StrEnum):
    """By which means people are told."""

    WECOM = "wecom"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    EMAIL = "email"
    # JSON, signed by Standard Webhooks 1.0.0.
    WEBHOOK = "webhook"


# The most messages a minute by the makers' own pages; more is refused, by DingTalk for ten minutes. None: nobody's limit but ours.
MAKERS_LIMIT: Mapping[RobotKind, int | None] = {
    # developer.work.weixin.qq.com/document/path/91770: 20 a minute.
    RobotKind.WECOM: 20,
    # open.dingtalk.com, 自定义机器人接入: 20 a minute, else nothing for 10 minutes.
    RobotKind.DINGTALK: 20,
    # open.feishu.cn, 自定义机器人使用指南: 100 a minute and 5 a second, which messages spread evenly over a minute keep, too.
    RobotKind.FEISHU: 100,
    RobotKind.EMAIL: None,
    RobotKind.WEBHOOK: None,
}
# What is sent where the settings say nothing: below the limit, for people may send by the same robot, and clocks differ.
USUAL_RATE: Mapping[RobotKind, int] = {
    RobotKind.WECOM: 15,
    RobotKind.DINGTALK: 15,
    RobotKind.FEISHU: 60,
    RobotKind.EMAIL: 20,
    RobotKind.WEBHOOK: 60,
}


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which only what is urgent is told: minutes of the day, local time; may go over midnight."""

    begins: int
    ends: int

    def over_at(self, local: datetime) -> datetime | None:
        """When the quiet hours that hold at this local time are over; None where none hold."""
        minute = local.hour * 60 + local.minute
        inside = self.begins <= minute < self.ends if self.begins < self.ends else minute >= self.begins or minute < self.ends
        if not inside:
            return None
        # Reckoned on the clock on the wall, so that a change of summer time does not move it.
        end = local.replace(hour=self.ends // 60 % 24, minute=self.ends % 60, second=0, microsecond=0)
        return end if end > local else end + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Robot:
    """Who tells people, and of what.

    kinds, named:  the kinds of notice it tells; `named` those that the settings name one by one.
    per_minute:    most messages a minute, of all nodes together.
    recipients:    mail addresses, for e-mail alone. url, secret: hold a key and are never shown.
    off:           what is wrong with its settings, in Chinese and English; what it is to tell waits until that is put right.
    """

    name: str
    kind: RobotKind
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    recipients: tuple[str, ...] = field(default=(), repr=False)
    kinds: frozenset[NoticeKind] = frozenset(NoticeKind)
    named: frozenset[NoticeKind] = frozenset()
    departments: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    estates: tuple[str, ...] = ()
    risks: tuple[str, ...] = tuple(Risk)
    per_minute: int = 15
    language: str = "zh"
    quiet: Quiet | None = None
    timeout_seconds: float = 10.0
    allow_private_hosts: tuple[str, ...] = ()
    off: tuple[str, str] | None = None

    @property
    def interval(self) -> timedelta:
        """The least time between two messages, by which no minute holds more than `per_minute`."""
        return timedelta(seconds=60 / self.per_minute)

    @property
    def tells(self) -> frozenset[NoticeKind]:
        """The kinds that it tells after all.

        What is about the system has neither class nor department: a robot of some departments tells it only where it is named for it.
        """
        filtered = bool(self.departments or self.classes or self.estates)
        return (self.kinds & OF_COMPLAINTS) | (self.named if filtered else self.kinds)

    def takes(self, notice: Notice) -> bool:
        """Whether the notice is for this robot."""
        if notice.kind not in self.tells:
            return False
        if not notice.kind.of_a_complaint:
            return True
        if notice.kind is NoticeKind.RISK and not set(self.risks) & set(notice.risks):
            return False
        return (
            (not self.departments or bool(set(self.departments) & set(notice.departments)))
            and (not self.classes or notice.klass in self.classes)
            and (not self.estates or notice.estate in self.estates)
        )


class TellCode(StrEnum):
    """How one try of telling people ended."""

    # It is under way, or whoever sent it died before he could say what came of it.
    SENDING = "sending"
    ACCEPTED = "accepted"
    # The maker says no, with a code in its answer, whatever the HTTP status was.
    REFUSED = "refused"
    # The maker says: too fast.
    THROTTLED = "throttled"
    # The answer is not what the maker's robots answer.
    STRANGE = "strange"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    REDIRECTED = "redirected"
    TIMEOUT = "timeout"
    AWAY = "away"
    UNREACHABLE = "unreachable"
    FORBIDDEN_ADDRESS = "forbidden_address"
    # The mail server did not take the letter.
    MAIL = "mail"
    # Something of ours failed.
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class TellOutcome:
    """What one try brought.

    status:  HTTP or SMTP status. maker_code: the `errcode` or `code` of the answer.
    zh, en:  what it means and what to do; empty where all is well. said: the other side's own words, without keys.
    hold:    for how long nothing more may be sent by this robot.
    """

    code: TellCode
    status: int | None = None
    seconds: float = 0.0
    maker_code: int | None = None
    zh: str = ""
    en: str = ""
    said: str = ""
    hold: timedelta = timedelta(0)
