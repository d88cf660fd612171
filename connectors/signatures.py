"""What stands below a letter without being one: mailers' footers, signatures, name cards, disclaimers.

Purpose: to be left out of what the customer says now. Only whole lines at the end of a letter are, and in doubt a line stays; the whole
text of the mail is kept beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# A line across the page.
RULE = re.compile(r"[-_=*—]{8,}")
SENTENCE_END = re.compile(r"[。！？!?；]")

# What mailers append under the sender's words. A whole line, never a part of one.
_DEVICE = (
    r"iphone|ipad|ipod|苹果|蘋果|手机|手機|android|安卓|huawei|华为|華為|honor|荣耀|榮耀|xiaomi|小米|红米|redmi|oppo|vivo|oneplus|一加|realme|samsung|三星|galaxy"
    r"|魅族|meizu|中兴|zte|努比亚|nubia|nokia|windows|outlook|foxmail|mail\b|qq\s*邮箱|qq\s*郵箱|qq\s*mail|邮箱|郵箱|邮件|郵件|信箱|yahoo|blackberry"
    r"|平板|pad\b|mac\b|企业微信|微信|钉钉|釘釘|飞书|阿里云|客户端|foxmail"
)
# What may follow a device's name; `来自华为的员工` goes on with something else.
_DEVICE_TAIL = r"[a-z0-9 .+()/™®·-]{0,24}(?:智能|版|手机|手機|客户端|应用|邮件|郵件|邮箱|郵箱|平板|大师|电脑|app|发送){0,4}[。.]?"
_SENT = r"发送|傳送|发出|發出|发来的邮件|發來的郵件|寄出|发送的邮件|傳送的郵件"
_FOOTERS = (
    re.compile(rf"(?:[发發来來寄]自|[发發传傳]送自)[\s:：]*(?:我的|my)?\s*[\w .-]{{0,12}}(?:{_DEVICE}){_DEVICE_TAIL}", re.IGNORECASE),
    re.compile(rf"(?:[从從由用]|使用|通过|透過)\s*(?:我的|my)?\s*.{{0,20}}(?:{_DEVICE}).{{0,12}}(?:{_SENT})", re.IGNORECASE),
    re.compile(
        r"(?:获取|取得|下[载載]|get)\s*(?:(?:适用于|適用於)?\s*(?:ios|android)\s*(?:的|版)\s*)?outlook(?:\s+(?:for|的)?\s*(?:ios|android).{0,12})?",
        re.IGNORECASE,
    ),
    re.compile(r"sent (?:from|via|with|using) .{2,60}", re.IGNORECASE),
    re.compile(r"(?:[签簽]名)?由\s*网易.{0,10}(?:定制|发送|发出)?|发自\s*网易.{0,10}|【网易自营.{0,60}"),
    re.compile(r"[此本该]邮件由\s*.{2,20}(?:发送|发出|代发)[。.]?"),
    re.compile(r"[这此]?封?邮件是?由?我的?手机发(?:出|送)的?[。.]?"),
)
# A mailer's plain text names the target behind the words of a link.
_TARGET = re.compile(r"\s*[<(]https?://[^\s<>()]*[>)]\s*$")
_FOOTER_HINT = re.compile(r"自|sent|从|從|由|用|通过|透過|取|下载|下載|get|签名|簽名|【|邮件", re.IGNORECASE)
_CARD_EDGE = re.compile(r"[|\s]*")

_CONTACT = re.compile(
    r"1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}|\d{3,4}[-\s]\d{7,8}|@[\w-]+\.|电话|電話|手机|手機|地址|邮编|邮箱|郵箱|传真|網址|网址|公司|\btel\b|\bphone\b|\bmobile\b|\bfax\b|www\.",
    re.IGNORECASE,
)

# How disclaimers begin, and what each of their paragraphs speaks of.
_DISCLAIMER = re.compile(
    r"(?:免责|免責|保密|重要|法律|安全)?(?:声明|聲明|提示|提醒)?\s*[:：]?\s*(?:本|此|该|該)(?:封)?(?:电子|電子)?(?:邮件|郵件|信件)"
    r".{0,40}(?:保密|机密|機密|专有|專有|隐私|隱私|仅限|僅限|仅供|僅供|特定|指定)"
    r"|(?:confidentiality|disclaimer|legal|privileged)\b.{0,40}(?:notice|statement|[:：])"
    r"|(?:this|the information (?:contained )?in this|the contents? of this) (?:e-?mail|message|communication).{0,200}"
    r"(?:confidential|privileged|intended (?:only|solely)|proprietary)",
    re.IGNORECASE,
)
_LEGAL = re.compile(r"邮件|郵件|机密|機密|保密|e-?mail|message|confidential|disclaimer|virus", re.IGNORECASE)
_LOOKED_AT = 400


def without_signature(lines: list[str]) -> list[str]:
    """Without what stands below `-- ` (RFC 3676 4.3), or below a rule when it is short and looks like an address card."""
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    for at in range(last - 1, max(-1, last - 25), -1):
        line = lines[at].strip()
        if line == "--" or (line in ("—", "——", "---") and at >= last - 8):
            if _says_something(lines[:at]) and last - at <= 16:
                above = at
                while above and lines[above - 1].strip() in ("", "--"):
                    above -= 1
                return lines[:above] if above else lines
            return lines
        if RULE.fullmatch(line):
            below = [entry.strip() for entry in lines[at + 1 : last] if entry.strip()]
            card = len(below) <= 8 and all(len(entry) <= 60 and not SENTENCE_END.search(entry) for entry in below)
            if card and any(_CONTACT.search(entry) for entry in below) and _says_something(lines[:at]):
                return lines[:at]
            return lines
    return lines


def _says_something(lines: Sequence[str]) -> bool:
    return any(line.strip() and not _is_footer(line.strip()) for line in lines)


def without_footers(lines: list[str]) -> list[str]:
    """Without the lines that a mailer appends, and without the table of bars that NetEase's mailers make of a name card."""
    kept = [line for line in lines if not (line and _is_footer(line.strip()))]
    # The card: `| |`, name, `|`, address, `|`, each on a line.
    edges = [at for at, line in enumerate(kept) if "|" in line and _CARD_EDGE.fullmatch(line)]
    if len(edges) >= 2 and kept[edges[0]].strip() == "| |" and edges[-1] - edges[0] <= 12 and _says_something(kept[: edges[0]]):
        card = kept[edges[0] : edges[-1] + 1]
        if all(len(line) <= 60 and line.count("|") <= 2 and not SENTENCE_END.search(line) for line in card):
            del kept[edges[0] : edges[-1] + 1]
    return kept


def without_card(lines: list[str]) -> list[str]:
    """Without the few short lines at the end, two blank lines or more below the letter, that tell how to reach its writer."""
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    first = last
    while first and lines[first - 1].strip() and last - first < 7:
        first -= 1
    card = [line.strip() for line in lines[first:last]]
    if first < 3 or len(card) > 6 or any(lines[at].strip() for at in (first - 1, first - 2)):
        return lines
    if any(len(line) > 60 or SENTENCE_END.search(line) for line in card) or not any(_CONTACT.search(line) for line in card):
        return lines
    return lines[:first] if _says_something(lines[:first]) else lines


def without_disclaimer(lines: list[str]) -> list[str]:
    """Without the last paragraphs where a company's mail server says whom the mail is for and that it is confidential."""
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    for at in range(max(0, last - 30), last):
        line = lines[at].strip(" *_>")
        if len(line) < 12 or not _DISCLAIMER.match(line[:_LOOKED_AT]):
            continue
        below = "\n".join(lines[at:last]).split("\n\n")
        if all(_LEGAL.search(paragraph[:2000]) for paragraph in below if paragraph.strip()) and _says_something(lines[:at]):
            while at and not lines[at - 1].strip(" -_*="):
                at -= 1
            return lines[:at]
    return lines


def _is_footer(line: str) -> bool:
    if line.endswith((">", ")")) and len(line) <= 300:
        line = _TARGET.sub("", line)
    if not 4 <= len(line) <= 80 or not _FOOTER_HINT.search(line):
        return False
    line = line.strip("[]()（）|*_ ")
    return any(footer.fullmatch(line) for footer in _FOOTERS)
