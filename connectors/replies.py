"""What the sender of a mail wrote this time, without the history below it and without the mailer's own footer.

Purpose: a complaint is judged by its customer's words, not by ours that he quotes. Nothing is thrown away: `Mail.text` keeps everything,
and in doubt a line stays. Known are the forms of the mailers common in China (QQ, 163 and 126, Foxmail, WeCom, Sina, Aliyun, 139, Outlook,
Apple Mail, Gmail, Thunderbird), in simplified and traditional Chinese and in English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.signatures import RULE, SENTENCE_END, without_card, without_disclaimer, without_footers, without_signature

# A line that alone says: below is another mail. Blanks may stand between its characters.
_REPLY_WORDS = (
    r"原始?邮件|原始?郵件|原始信息|原始訊息|原始消息|邮件原件|郵件原件|(?:邮件|郵件|回复|回覆)?原文|历史邮件|歷史郵件"
    r"|回复的原?邮件|回覆的原?郵件|回复邮件|original(?: ?message| mail| email)?|replied message|reply message"
)
_FORWARD_WORDS = (
    r"转发的?(?:邮件|消息|信息)(?:信息)?|被转发邮件|轉[寄发發]的?(?:郵件|訊息|信件)"
    r"|forwarded (?:message|mail|email)|forward(?:ed)?"
)
_SEPARATOR = re.compile(rf"[-—_=*]{{2,}}\s*(?:(?P<forward>{_FORWARD_WORDS})|{_REPLY_WORDS})\s*[-—_=*]{{2,}}", re.IGNORECASE)
_TITLE = re.compile(rf"(?:{_REPLY_WORDS})\s*[:：]?", re.IGNORECASE)
_FORWARD_INTRO = re.compile(
    r"(?:begin forwarded message|[下以][面下]是被转发的(?:邮件|信息)|开始转发的?(?:邮件|信息)|以下是轉寄的郵件|開始轉寄郵件)[:：]?",
    re.IGNORECASE,
)

# The lines of a header block that a mailer puts above history. Blanks pad two-character names (主　题).
_FROM_FIELD = re.compile(
    r"[*_\s]*(?:[发發寄]\s*件\s*[人者]|发\s*信\s*人|发\s*送\s*者|from|sender)\s*[*_]*\s*[:：][*_]*\s*\S",
    re.IGNORECASE,
)
_OTHER_FIELD = re.compile(
    r"[*_\s]*(?:(?P<to>收\s*件\s*人|收\s*件\s*者|收\s*信\s*人|to)"
    r"|(?P<sent>[发發寄傳]\s*[送件]\s*(?:[时時]\s*[间間]|日\s*期)|(?:已\s*)?发\s*送|日\s*期|[时時]\s*[间間]|sent|date)"
    r"|(?P<subject>主\s*题|主\s*題|主\s*旨|标\s*题|標\s*題|subject)"
    r"|(?P<cc>抄\s*送|副\s*本|cc|reply-to|回复地址|密送|附件|attachments?|importance|重要性))\s*[*_]*\s*[:：]",
    re.IGNORECASE,
)

# `在 … 写道：` and its relatives.
_WROTE = re.compile(r"(?:写道|寫道|写到|wrote|writes|撰寫|写|寫)\s*[:：]\s*[>|]?\s*$", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d\d|\d{1,2}[:：]\d{2}|\d{1,2}\s*月\s*\d{1,2}\s*日")
_EMAIL = re.compile(r"[^\s<>@\"'，,：:（(\[]+@[^\s<>@\"'，,：:）)\]]+")
_OPENER = re.compile(r"(?:在|于|於|on\b|at\b|le\b|am\b|[\"“'<]|(?:19|20)\d\d\s*[-/年.])\s*", re.IGNORECASE)
# `在 2024年5月1日，张三 写道：`: without an address only this exact shape counts, because customers tell what somebody wrote, too.
_STRICT = re.compile(
    r"(?:在|于|於|on|at)?\s*(?:周.|週.|星期.)?[,，]?\s*(?:19|20)\d\d\s*[-/年.]\s*\d{1,2}\s*[-/月.]\s*\d{1,2}\s*日?"
    r"[^，,。！？；]{0,40}[,，]?\s*(?:(?:[上下]午|am|pm)?\s*\d{1,2}[:：]\d{2}(?:[:：]\d{2})?[^，,。！？；]{0,20}[,，]?)?\s*"
    r"[^，,。！？；：:]{1,40}(?:写道|寫道|wrote|写到)\s*[:：]\s*",
    re.IGNORECASE,
)
_ENGLISH_STRICT = re.compile(r"on (?:.{6,60}(?:19|20)\d\d|\d{1,2}[/.-]\d{1,2}[/.-]\d\d).{0,80}\bwrote\s*[:：]\s*", re.IGNORECASE)

_FORWARD_SUBJECT = re.compile(r"\s*(?:(?:fwd?|fw|转发|轉寄|轉發|转寄|轉信)\s*[:：])", re.IGNORECASE)

# Something on a line that makes it worth a closer look; most lines of most mails have none of it.
_WORTH = re.compile(
    r"原|original|[-_=*—]{2}|[:：]\s*[>|]?\s*$|@|发|發|寄|from|sender|forward|转发|轉寄|^\s*(?:on|at|在|于|於|[\"“'<]|(?:19|20)\d\d)",
    re.IGNORECASE,
)

# This little above a forwarded mail is a remark on it, not the message itself.
_LITTLE = 60
_LONGEST_LINE = 600


_REPLY_SUBJECT = re.compile(
    r"(?:re|aw|sv|antw|回复|回覆|回復|回信|答复|答覆|答復)\s*(?:\[\d{1,3}\]|\(\d{1,3}\)|\d{1,3})?\s*[:：]\s*", re.IGNORECASE
)
# What a company's mail gateway writes before the subject of mail from outside.
_WARNING_TAG = re.compile(r"[\[【(](?:external|外部(?:邮件|郵件)?|spam\??)[\]】)]\s*", re.IGNORECASE)
_NUMBER_TAG = re.compile(r"\[?TS-\d{8}-\d{4,9}(?:-[a-z2-7]{12})?\]?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject without its marks.

    topic:     what it is about, without `Re:`, `转发：`, our number and the like.
    replied:   whether any mark says that it is a reply.
    forwarded: whether the outermost mark says that it is forwarded.
    passed_on: whether it replies to something that was forwarded (`回复：转发：`): whoever writes was not written to by us.
    """

    topic: str
    replied: bool
    forwarded: bool
    passed_on: bool


def read_subject(subject: str) -> Subject:
    """The subject and its marks, whatever a mail gateway wrote before them."""
    rest, marks = subject.strip()[:500], ""
    while True:
        reply, forward = _REPLY_SUBJECT.match(rest), _FORWARD_SUBJECT.match(rest)
        mark = reply or forward or _WARNING_TAG.match(rest)
        if mark is None:
            break
        marks += "r" if reply else "f" if forward else ""
        rest = rest[mark.end() :].lstrip()
    return Subject(" ".join(_NUMBER_TAG.sub(" ", rest).split()), "r" in marks, marks.startswith("f"), "rf" in marks)


def reply_text(text: str, *, forwarded: bool = False) -> str:
    """What the sender wrote this time; empty only if nothing but marked quotation stands in `text`.

    text:      the whole plain text of a mail, lines ended by `\\n`.
    forwarded: True when the subject says that the mail is forwarded. Then, and under a forwarder's separator, with little or nothing
               above it, what is forwarded is the message and is kept.
    """
    lines = text.split("\n")
    cut, forward, quoted_below = _history(lines)
    head = lines[:cut]
    if cut < len(lines):
        # Only above a header block without a line of its own do mailers set a name card that nothing marks (Foxmail).
        own = _own(without_card(head) if not quoted_below else head)
        if (forward or forwarded) and len("".join("".join(own).split())) <= _LITTLE:
            return _joined([*own, "", *_forwarded(lines[cut:])])
        if quoted_below:
            # The attribution of marked quotation: the sender's answers may stand between the quoted lines.
            own = _own([*head, *lines[cut + quoted_below :]])
        answer = _joined(own)
        if answer:
            return answer
        return "" if quoted_below else _joined(_own(lines, history=False)) or text.strip()
    answer = _joined(_own(lines))
    if answer:
        return answer
    if forwarded or not all(line.lstrip().startswith(">") or not line.strip() for line in lines):
        return _joined([line.lstrip("> ") for line in lines]) if forwarded else text.strip()
    return ""


def _history(lines: Sequence[str]) -> tuple[int, bool, int]:
    """Where history begins (the number of lines if nowhere), whether it is a forwarded mail, and, when marked quotation follows an
    attribution there, how many lines the attribution has."""
    for at, raw in enumerate(lines):
        if not raw or not _WORTH.search(raw[:_LONGEST_LINE]):
            continue
        line = raw.strip()
        if not line or line[0] == ">" or len(line) > _LONGEST_LINE:
            continue
        separator = _SEPARATOR.fullmatch(line)
        if separator:
            return at, separator["forward"] is not None, 0
        if _FORWARD_INTRO.fullmatch(line):
            return at, True, 0
        # Drawn without dashes, the words are a title; only what follows tells them from the customer's own.
        if (RULE.fullmatch(line) or _TITLE.fullmatch(line)) and _block_at(lines, _next_line(lines, at + 1)):
            return at, False, 0
        if _block_at(lines, at):
            return at, False, 0
        long = _attribution(lines, at)
        if long:
            following = _next_line(lines, at + long)
            if following < len(lines) and lines[following].lstrip().startswith(">"):
                return at, False, long
            return at, False, 0
    return len(lines), False, 0


def _next_line(lines: Sequence[str], at: int) -> int:
    """The first line from `at` that is not blank, at most four further on."""
    for place in range(at, min(at + 4, len(lines))):
        if lines[place].strip():
            return place
    return at


def _block_at(lines: Sequence[str], at: int) -> bool:
    """Whether a mailer's header block begins at `at`: who wrote, and at least one of to whom, when and what about, on the next lines."""
    if at >= len(lines):
        return False
    first = lines[at].strip()[:_LONGEST_LINE]
    has_from = bool(_FROM_FIELD.match(first))
    other = _OTHER_FIELD.match(first)
    if not has_from and (other is None or other.lastgroup == "cc"):
        return False
    kinds: set[str] = set() if has_from or other is None else {other.lastgroup or ""}
    seen = 0
    for line in lines[at + 1 : at + 14]:
        line = line.strip()[:_LONGEST_LINE]
        if not line:
            continue
        seen += 1
        if seen > 7:
            break
        if _FROM_FIELD.match(line):
            has_from = True
            continue
        field = _OTHER_FIELD.match(line)
        if field:
            kinds.add(field.lastgroup or "")
        elif has_from is False or len(kinds) >= 2:
            break
    kinds.discard("cc")
    # Customers write `时间：` and `主题：` themselves; who writes 发件人 and one of the others copies a mail.
    return has_from and (bool(kinds) if _FROM_FIELD.match(first) else len(kinds) >= 2)


def _attribution(lines: Sequence[str], at: int) -> int:
    """How many lines from `at` are an attribution (`在 … 写道：`), 0 if they are none. Mailers fold it over up to three lines."""
    line = lines[at].strip()
    if len(line) > _LONGEST_LINE:
        return 0
    if _is_attribution(line):
        return 1
    if not (_OPENER.match(line) or _EMAIL.search(line)) or SENTENCE_END.search(line):
        return 0
    if not (_DATE.search(line) or _EMAIL.search(line)):
        return 0
    joined = line
    for more in (1, 2):
        if at + more >= len(lines):
            break
        following = lines[at + more].strip()
        if not following or following.startswith(">"):
            break
        # A complete attribution there is not the second half of this line.
        if _is_attribution(following) and _DATE.search(following):
            break
        joined += " " + following
        if len(joined) > _LONGEST_LINE:
            break
        if _is_attribution(joined):
            return more + 1
    return 0


def _is_attribution(line: str) -> bool:
    if len(line) > _LONGEST_LINE or not _WROTE.search(line[-20:]):
        return False
    if _STRICT.fullmatch(line) or _ENGLISH_STRICT.fullmatch(line):
        return True
    address = _EMAIL.search(line)
    if address is None or SENTENCE_END.search(line):
        return False
    # A name before the address, or an opening word before a date, and no further sentence in between.
    return bool(_DATE.search(line)) or address.start() <= 60


def _own(lines: Sequence[str], *, history: bool = True) -> list[str]:
    """`lines` without marked quotation (if `history`), mailers' footers and the signature below `-- `."""
    kept = _without_quotation(lines) if history else list(lines)
    kept = without_signature(without_disclaimer(kept))
    return without_footers(kept)


def _without_quotation(lines: Sequence[str]) -> list[str]:
    quoted = [line.lstrip().startswith(">") for line in lines]
    # A single `>3个月没人管` is the customer's arrow, no quotation.
    if sum(quoted) == 0 or (sum(quoted) == 1 and not lines[quoted.index(True)].lstrip().startswith("> ")):
        return list(lines)
    kept: list[str] = []
    skip = 0
    for at, line in enumerate(lines):
        if skip:
            skip -= 1
            continue
        if quoted[at]:
            continue
        if line and _WORTH.search(line[:_LONGEST_LINE]):
            skip = _attribution(lines, at)
            if skip:
                skip -= 1
                continue
        kept.append(line)
    return kept


def _forwarded(lines: Sequence[str]) -> list[str]:
    """A forwarded mail as its reader needs it: without the separator, without quote marks if all of it is marked."""
    body = list(lines)
    if body and (_SEPARATOR.fullmatch(body[0].strip()) or _FORWARD_INTRO.fullmatch(body[0].strip()) or RULE.fullmatch(body[0].strip())):
        body = body[1:]
    if all(line.lstrip().startswith(">") for line in body if line.strip()):
        body = [line.lstrip().removeprefix(">").removeprefix(" ") for line in body]
    return without_footers(body)


_BLANK_LINES = re.compile(r"\n{3,}")


def _joined(lines: Sequence[str]) -> str:
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip()
