"""Bounces: what a mail server writes back of an answer of ours, in whatever shape (RFC 3464, and what servers in China send instead).

Believed is only who knows the Message-ID of our letter or its token; a forged one can make no more of it than that the letter came back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from gateway import correspondence
from gateway.correspondence import NOTHING_OF_OURS, Ours
from gateway.reply_token import ReplyTokens
from gateway.store import answers, complaints, threads
from models.answer import Answer, AnswerState, Way, box_of, is_daemon
from models.complaint import Parsed

# A Message-ID within a text; the reports of some servers quote the mail's header there and nowhere else.
_ID_IN_TEXT = re.compile(r"<[\x21-\x3b=\x3f-\x7e]{3,190}>", re.ASCII)
_MOST_IDS_IN_TEXT = 50
# So much of a report is what the server says itself; below stands what it returns.
_OWN_WORDS = 4000
_FAILED = re.compile(
    r"退信|被退[回件]|(?:未能?|没有?|無法|无法|不能|未成功)(?:成功)?(?:送达|送達|投递|投遞|发送到|傳送|寄達)"
    r"|(?:投递|投遞|发送|送达|送達|寄送|傳送)失[败敗]|undeliver|not (?:be )?deliver|(?:delivery|delivering).{0,40}fail|fail.{0,40}deliver"
    r"|failure notice|return(?:ed|ing)[^.,;!?\n]{0,20}(?:mail|message|sender)|no such user|user unknown"
    r"|(?<![\d.])5\.\d{1,3}\.\d{1,3}(?![\d.])|(?<![\d.,-])55\d[ -](?=[#<(\[A-Za-z5])",
    re.IGNORECASE,
)
# The server goes on trying …
_DELAYED = re.compile(
    r"(?:继续|繼續)(?:尝试|嘗試|投递|投遞|发送|發送|重试|重試)"
    # … while 请核实地址后重新发送 is advice to whoever wrote.
    r"|(?:(?<!不)[将將会會]|系统|系統)[^。；;，,！!？?：:\n请請可建不]{0,12}(?:再次|重新)(?:尝试|嘗試|投递|投遞|发送|發送|重试|重試)"
    r"|(?:投递|投遞|送达|送達)(?:被)?延[迟遲誤误]|延[迟遲](?:投递|投遞|送达|送達|通知)|(?:尚未|暂未)(?:送达|投递)"
    r"|delay|still (?:being )?(?:try|retr)|will (?:be retried|retry|keep trying|continue)|not yet been delivered|warning message only",
    re.IGNORECASE,
)
# … unless it says that it has stopped.
_GIVEN_UP = re.compile(
    r"放弃|放棄|不再|停止|永久|permanent|giv(?:e|en|ing) up|will not (?:be retried|retry)|could not be delivered for", re.IGNORECASE
)
_STATUS = re.compile(r"(?<![\d.])5\.\d{1,3}\.\d{1,3}(?![\d.])")
# A server's answer for good; a word must follow, for 550 元 is a price.
_FOR_GOOD = re.compile(
    r"(?<![\d.,-])(?:50[0-4]|521|53\d|55\d|571)[ -](?=[#<(\[A-Za-z5]|用[户戶]|收件|[邮郵][箱件]|[账帳][户号號]|地址|域名|[无無该該不拒])"
)
# A phrase of fewer characters is taken out only where it stands alone, for 延迟 may be a title and a server's word.
_LONG_ENOUGH = 6


@dataclass(frozen=True, slots=True)
class Bounce:
    """That a mail reports of an answer. `answer` is the one that did not arrive; None where the report says nothing bad, or nothing new."""

    number: str
    answer: Answer | None
    status: str = ""


def bounce_of(conn: Connection, tokens: ReplyTokens, parsed: Parsed, ours: Ours = NOTHING_OF_OURS) -> Bounce | None:
    """What a mail reports of an answer of ours; None where it is no report, or of none of them."""
    told = parsed.details
    reports = told.get("auto_reason") == "report" or bool(told.get("reported_id") or told.get("reported_action"))
    sender = str(told.get("from_email") or "")
    daemon = is_daemon(sender)
    if not parsed.machine or not (reports or daemon or told.get("auto_reason") == "null_return_path"):
        return None
    # Who is away answers with an empty return path, too, and quotes what he answers; and people read postmasters' boxes.
    if told.get("auto_subject") and not (reports or daemon):
        return None
    words = f"{parsed.title}\n{parsed.text[:_OWN_WORDS]}"
    returned = _mailed(conn, [*_texts(told.get("reported_id")), *_texts(told.get("returned_ids"))])
    named = returned or _mailed(conn, _named(told, parsed.text, answers_too=reports or daemon))
    number = threads.resolve(conn, named.number) if named else _signed(conn, tokens, words)
    if number is None:
        return None
    letters = [one for one in answers.of_number(conn, number) if one.way is Way.EMAIL]
    spoken = complaints.conversation(conn, [number])[number]
    if not (reports or daemon or returned) and sender:
        his = correspondence.customer_boxes(spoken, ours) | {box_of(one.to) for one in letters if one.to}
        if box_of(sender) in his:
            return None
    said = _without(words, [*(message.title for message in spoken if not message.aside), *_ours_in(letters)])
    status = str(told.get("reported_status") or "") or next((match.group() for match in _STATUS.finditer(said)), "")
    final = status.startswith("5") or bool(_FOR_GOOD.search(said) or _GIVEN_UP.search(said))
    delayed = bool(_DELAYED.search(said)) and not final
    if not (reports or returned or delayed or _FAILED.search(said)):
        return None
    action = told.get("reported_action")
    failed = not delayed if action is None else action == "failed"
    return Bounce(number, (named or _latest(letters, parsed.text)) if failed else None, status)


def _signed(conn: Connection, tokens: ReplyTokens, words: str) -> str | None:
    """The complaint whose token stands in the words."""
    return next((number for spelt in tokens.signed_in(words) if threads.exists(conn, number := threads.resolve(conn, spelt))), None)


def _named(told: Mapping[str, Any], text: str, *, answers_too: bool) -> list[str]:
    """The Message-IDs that a report names. `answers_too`: also those that it says it answers, as anybody's answer does."""
    quoted = [match.group() for match in islice(_ID_IN_TEXT.finditer(text), _MOST_IDS_IN_TEXT)]
    answered = [*_texts(told.get("in_reply_to")), *_texts(told.get("references"))[::-1]] if answers_too else []
    return [*answered, *quoted]


def _mailed(conn: Connection, message_ids: Iterable[str]) -> Answer | None:
    return next((one for one in answers.by_message_id(conn, list(message_ids)) if one.way is Way.EMAIL), None)


def _ours_in(letters: Iterable[Answer]) -> Iterable[str]:
    """What a report may repeat of our letters."""
    for one in letters:
        yield from (one.subject, *one.body.splitlines())


def _without(words: str, phrases: Iterable[str]) -> str:
    """What a server says without what it repeats of the letter: customers' subjects tell of delays, too."""
    words = " ".join(words.split())
    for phrase in sorted({" ".join(one.split()) for one in phrases} - {""}, key=len, reverse=True):
        spelt = re.escape(phrase)
        words = re.sub(spelt if len(phrase) >= _LONG_ENOUGH else rf"(?<!\w){spelt}(?!\w)", " … ", words, flags=re.IGNORECASE)
    return words


def _latest(letters: Sequence[Answer], text: str) -> Answer | None:
    """The letter of a complaint that a report means which names none: the last one that is out, to a box that it names if it names any."""
    sent = [one for one in letters if one.state is AnswerState.SENT]
    spoken = text.casefold()
    named = [one for one in sent if one.to and one.to.casefold() in spoken]
    return next(reversed(named or sent), None)


def _texts(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [str(value)] if value else []
