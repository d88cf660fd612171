"""Notices as mails (RFC 5322) of plain text, and what a mail server's answers mean for a notice."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from gateway.notice_words import Message
from gateway.outbound import address_of, spelt_mailbox, spelt_words
from models.answer import AFTER_MAIL, Letter, MailCode, MailOutcome
from models.delivery import Next
from models.notice import Robot, TellCode, TellOutcome

_MEANINGS = {
    MailCode.REFUSED: ("邮件服务器拒收", "the mail server refuses it"),
    MailCode.DEFERRED: ("邮件服务器要求稍后再发", "the mail server says: later"),
    MailCode.NOT_LET_IN: ("邮件服务器不让登录或不认发件人；请核对 [mail]", "the mail server does not let us in; see to [mail]"),
    MailCode.AWAY: ("连不上邮件服务器", "the mail server cannot be reached"),
    MailCode.LOST: ("与邮件服务器的连接中断", "the connection to the mail server broke"),
    MailCode.TIMEOUT: ("邮件服务器没有及时回答", "the mail server did not answer in time"),
    MailCode.NOT_SECURE: ("邮件服务器的加密不可信；请核对 [mail]", "the mail server's encryption is not to be trusted; see to [mail]"),
    MailCode.ADDRESS: ("邮件服务器不接受这样的收件地址", "the mail server takes no such address"),
}


class RobotLetters:
    """Makes letters. installation: marks our own mail, so that it is never taken for a customer's."""

    def __init__(self, address: str, name: str, installation: str) -> None:
        self._address, self._name, self._installation = address, name, installation

    def letter(self, message: Message, to: str, ids: Sequence[int], robot: Robot, at: datetime) -> Letter:
        """The mail of a message for one recipient. What is sent twice after a crash has the same Message-ID."""
        what = ",".join(map(str, ids)) or f"test {at.timestamp()}"
        digest = hashlib.sha256(f"{self._installation} {robot.name} {to} {what}".encode()).hexdigest()[:32]
        reached = address_of(to)
        fields = [
            ("Date", format_datetime(at)),
            ("From", spelt_mailbox(self._name, self._address)),
            ("To", f"<{reached}>"),
            ("Subject", spelt_words(message.preview)),
            ("Message-ID", f"<notice.{digest}@{self._address.rpartition('@')[2]}>"),
            # No machine is to answer this (RFC 3834 5).
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
            ("X-Loop", f"jiesu@{self._installation}"),
            ("X-Jiesu-Loop", self._installation),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "base64"),
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        body = text_of(message).replace("\n", "\r\n").encode("utf-8", "replace")
        return Letter(self._address, reached, head.encode("utf-8", "replace") + b"\r\n" + base64.encodebytes(body).replace(b"\n", b"\r\n"))

    @staticmethod
    def outcome(outcomes: Sequence[MailOutcome]) -> TellOutcome:
        """What came of the letters together: accepted once every recipient has had it or is refused for good, and at least one has it."""
        seconds = sum(one.seconds for one in outcomes)
        failed = [one for one in outcomes if one.code is not MailCode.ACCEPTED]
        worth = [one for one in failed if AFTER_MAIL[one.code] is Next.RETRY]
        if not worth and (len(failed) < len(outcomes) or not outcomes):
            zh, en = (f"{len(failed)} 个收件人被拒收", f"{len(failed)} recipients are refused") if failed else ("", "")
            return TellOutcome(TellCode.ACCEPTED, 250, seconds, None, zh, en)
        last = (worth or failed)[0]
        zh, en = _MEANINGS[last.code]
        if len(failed) < len(outcomes):
            zh, en = f"{zh}（{len(failed)} 个收件人）", f"{en} ({len(failed)} recipients)"
        # The server's own words may quote an address.
        return TellOutcome(TellCode.MAIL, last.status, seconds, None, zh, en)


def text_of(message: Message) -> str:
    """A message as plain text."""
    parts = [message.heading] if message.heading else []
    for item in message.items:
        parts.append("\n".join([item.title, *(f"  {label}{value}" for label, value in item.facts), f"  {item.link}"]))
    if message.rest:
        parts.append(f"{message.rest}\n{message.rest_link}")
    return "\n\n".join(parts) + "\n"
