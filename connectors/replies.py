"""What the sender of a mail wrote this time, without the history below it and without the mailer's own footer.

Purpose: a complaint is judged by its customer's words, not by ours that he quotes. Nothing is thrown away: `Mail.text` keeps everything,
and in doubt a line stays. Known are the forms of the mailers common in China (QQ, 163 and 126, Foxmail, WeCom, Sina, Aliyun, 139, Outlook,
Apple Mail, Gmail, Thunderbird), in simplified and traditional Chinese and in English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.signatures import RULE, SENTENCE_END, without_card, without_endings, without_footers

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
# Our tag. Mailers fold subjects, also within it, and cut long ones; between brackets a blank may stand anywhere.
_NUMBER_TAG = re.compile(
    r"\[\s?T\s?S\s?-\s?\d(?:\s?\d){7}\s?-\s?\d(?:\s?\d){3,8}(?:\s?-(?:\s?[a-z2-7]){0,12})?\s?(?:\]|$)"
    r"|TS-\d{8}-\d{4,9}(?:-[a-z2-7](?:\s?[a-z2-7]){11}(?![a-z0-9]))?\]?",
    re.IGNORECASE | re.ASCII,
)


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


# By these words an answer sends its reader into the letter below it, where answers may stand among what they answer.
_POINTS = re.compile(
    r"[见見看][^。！？\n]{0,8}(?:[红紅蓝藍绿綠]色?(?:字|部分|标注|標註)|原文|正文|邮件内|郵件內)"
    r"|[用以][^。！？\n]{0,4}[红紅蓝藍绿綠]色?字体?[^。！？\n]{0,4}[回答标標批注]"
    r"|[见見]\s*下(?:[面方文边邊]?(?=[。，,.!！~：:\s]|$)|[面方文]?(?:[红紅蓝藍绿綠邮郵逐回]|的?(?:邮件|郵件|回复|回覆|答复|原文)))"
    r"|在(?:下面|下方|原文|原邮件|原郵件|来信|來信|[你您]们?的?(?:邮件|郵件|来信))[^。！？\n]{0,8}(?:回复|回覆|回答|答复|答覆|逐|标|批|写)"
    r"|逐[条條一个個][^。！？\n]{0,4}(?:回复|回覆|回答|答复|答覆)"
    r"|(?:如下|[下以][面下方](?:是|为|為)[^。！？\n]{0,24}(?:记录|記錄|邮件|郵件|来信|來信|内容|內容|原文|投诉|投訴))"
    r"[:：。，,.!！]*\s*(?:谢谢[。！!]?|謝謝[。！!]?)?\s*\Z"
    r"|\b(?:in-?line|see (?:below|my (?:answers?|comments?|repl(?:y|ies)))"
    r"|(?:answers?|comments?|repl(?:y|ies)) (?:are )?(?:below|in (?:red|blue|between)))\b",
    re.IGNORECASE,
)


def shows_number(text: str) -> bool:
    """Whether a number of ours stands in `text`, as it does in each of our letters."""
    return bool(_NUMBER_TAG.search(text[:200_000]))


def said_now(text: str, subject: str, *, answers: bool = False) -> str:
    """What the sender of a mail with this subject wrote this time (`reply_text`). answers: whether its headers name one that it answers."""
    marks = read_subject(subject)
    replied = answers or marks.replied or shows_number(subject) or shows_number(text)
    return reply_text(text, forwarded=marks.forwarded, answers=replied)


def reply_text(text: str, *, forwarded: bool = False, answers: bool = True) -> str:
    """What the sender wrote this time; empty when nothing but quotation, footer and signature stands in `text`.

    text:      the whole plain text of a mail, lines ended by `\\n`.
    forwarded: True when the subject says that the mail is forwarded. Then, and under a forwarder's separator, with little or nothing
               above it, what is forwarded is the message and is kept.
    answers:   False when the mail answers none that is known of. What it quotes without a word of its own is then its matter, too.
    """
    lines = text.split("\n")
    cut, forward, quoted_below = _history(lines)
    above, quoted = _unquoted(lines[:cut])
    if cut == len(lines):
        answer = _joined(without_endings(above, alone=quoted))
        if answer:
            return text.strip() if quoted and _POINTS.search(answer) and _ends_quoted(lines) else answer
        if quoted and forwarded:
            return _joined(without_footers([line.lstrip("> ") for line in lines]))
        return text.strip() if quoted and not answers else ""
    # Only above a header block without a line of its own do mailers set a name card that nothing marks (Foxmail).
    own = without_endings(above if quoted_below else without_card(above), alone=True)
    if (forward or forwarded) and len("".join("".join(own).split())) <= _LITTLE:
        return _joined([*own, "", *_forwarded(lines[cut:])])
    below: list[str] = []
    if quoted_below:
        # The attribution of marked quotation: the sender's answers may stand between the quoted lines.
        below = without_endings(_unquoted(lines[cut + quoted_below :], attributed=True)[0], alone=True)
        below = ["", *below] if above and not above[-1].strip() else below
    answer = _joined([*own, *below])
    # Which of the lines below are his cannot be known.
    whole = _POINTS.search(_joined(own)) and not _joined(below) if answer else not answers
    return text.strip() if whole else answer


def history_at(lines: Sequence[str]) -> int:
    """The number of the line with which history begins that its lines themselves announce; how many there are where none does."""
    return _history(lines)[0]


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
        title = _TITLE.fullmatch(line) is not None
        if (title or RULE.fullmatch(line)) and _block_at(lines, _next_line(lines, at + 1), titled=title):
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


def _block_at(lines: Sequence[str], at: int, *, titled: bool = False) -> bool:
    """Whether a mailer's header block begins at `at`: first who wrote, and on the next lines to whom and when or about what.

    titled: whether a line above says that another mail follows; then who wrote and one thing more are enough.
    """
    if at >= len(lines) or not _FROM_FIELD.match(lines[at].strip()[:_LONGEST_LINE]):
        return False
    kinds: set[str] = set()
    seen = 0
    for line in lines[at + 1 : at + 14]:
        line = line.strip()[:_LONGEST_LINE]
        if not line:
            continue
        seen += 1
        if seen > 7:
            break
        field = _OTHER_FIELD.match(line)
        if field:
            kinds.add(field.lastgroup or "")
        elif len(kinds) >= 2:
            break
    kinds.discard("cc")
    # Whoever tells of an old mail in his own words names its writer, date or subject; to whom it went is what programs add.
    return bool(kinds) if titled else "to" in kinds and len(kinds) >= 2


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


# `>100万`: more than; a list of the quoted mail (`>1、…`) is none.
_MORE_THAN = re.compile(
    r">\s?(?:\d[\d,.]*|[一二两兩三四五六七八九十百半几幾]+)\s*(?:[万萬千百亿億%％元块塊平个個天年月米成㎡套次度人]|cm|mm|db|分贝|小时|$)",
    re.IGNORECASE,
)


def _is_marked(line: str) -> bool:
    return line.lstrip().startswith(">")


def _unquoted(lines: Sequence[str], *, attributed: bool = False) -> tuple[list[str], bool]:
    """`lines` without marked quotation and the mailers' footers right above it; and whether there was any.

    attributed: whether it is known already that another's letter is quoted.
    """
    if not any(map(_is_marked, lines)):
        return list(lines), False
    said = [at for at, line in enumerate(lines) if line.strip() and not _is_marked(line)]
    first, last = (said[0], len(without_footers([line if not _is_marked(line) else "" for line in lines]))) if said else (len(lines), 0)
    kept: list[str] = []
    found = False
    at = since = 0
    while at < len(lines):
        line = lines[at]
        skip = 1
        if _is_marked(line):
            end = at + 1
            while end < len(lines) and _is_marked(lines[end]):
                end += 1
            if attributed or _is_quotation(lines[at:end], edge=at < first or at >= last, alone=last == 0):
                found = True
                # Only what stands between this quotation and the one before it: a mail may have thousands of them.
                between = kept[since:]
                shorn = without_footers(between)
                if "".join(between[len(shorn) :]).strip():
                    kept[since:] = [*shorn, ""]
                since = len(kept)
            else:
                kept += lines[at:end]
            skip = end - at
        elif line and _WORTH.search(line[:_LONGEST_LINE]) and (skip := _attribution(lines, at)):
            found = attributed = True
        else:
            kept.append(line)
            skip = 1
        at += skip
    return kept, found


def _is_quotation(block: Sequence[str], *, edge: bool, alone: bool) -> bool:
    """Whether marked lines in a row, of which nothing says whose they are, are a quotation and not the customer's arrows.

    edge: whether nothing of his stands above or nothing below. alone: whether nothing of his stands anywhere.
    """
    marked = [line.strip() for line in block]
    if all(_MORE_THAN.match(line) for line in marked):
        return False
    if any(line == ">" or line.startswith(("> ", ">>", ">\xa0")) for line in marked):
        return True
    return alone or (edge and len(marked) >= 2)


def _ends_quoted(lines: Sequence[str]) -> bool:
    return _is_marked(next((line for line in reversed(without_footers(lines)) if line.strip()), ""))


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
