"""What stands below a letter without being one: mailers' footers, signatures, name cards, disclaimers.

Purpose: to be left out of what the customer says now. Only whole lines at the end of a letter are, and in doubt a line stays; the whole
text of the mail is kept beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connectors.display_names import looks_like_person

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
_LOOSE = re.compile(rf"(?:[从從由用]|使用|通过|透過)\s*(?:我的|my)?\s*.{{0,20}}(?:{_DEVICE}).{{0,12}}(?:{_SENT})", re.IGNORECASE)
_FOOTERS = (
    re.compile(rf"(?:[发發来來寄]自|[发發传傳]送自)[\s:：]*(?:我的|my)?\s*[\w .-]{{0,12}}(?:{_DEVICE}){_DEVICE_TAIL}", re.IGNORECASE),
    _LOOSE,
    re.compile(
        r"(?:获取|取得|下[载載]|get)\s*(?:(?:适用于|適用於)?\s*(?:ios|android)\s*(?:的|版)\s*)?outlook(?:\s+(?:for|的)?\s*(?:ios|android).{0,12})?",
        re.IGNORECASE,
    ),
    re.compile(r"sent (?:from|via|with|using) (?!.*\b(?:to|by|but|and|yesterday|on)\b).{2,60}", re.IGNORECASE),
    re.compile(r"(?:[签簽]名)?由\s*网易.{0,10}(?:定制|发送|发出)?|发自\s*网易.{0,10}|【网易自营.{0,60}"),
    re.compile(r"[此本该]邮件由\s*.{2,20}(?:发送|发出|代发)[。.]?"),
    re.compile(r"[这此]?封?邮件是?由?我的?手机发(?:出|送)的?[。.]?"),
)
# A mailer's plain text names the target behind the words of a link.
_TARGET = re.compile(r"\s*[<(]https?://[^\s<>()]*[>)]\s*$")
_FOOTER_HINT = re.compile(r"自|sent|从|從|由|用|通过|透過|取|下载|下載|get|签名|簽名|【|邮件", re.IGNORECASE)
_CARD_EDGE = re.compile(r"[|\s]*")

_CONTACT = re.compile(
    r"1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}|\d{3,4}[-\s]\d{7,8}|\d{3,4}-\d{3,4}-\d{3,4}|@[\w-]+\.|电话|電話|手机|手機|地址|邮编|邮箱|郵箱|传真|網址|网址|公司|\btel\b|\bphone\b|\bmobile\b|\bfax\b|www\.",
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
# What disclaimers are made of. One of them stands in many a letter; three together only a company's lawyers write.
_FORMULAS = tuple(
    re.compile(formula, re.IGNORECASE)
    for formula in (
        r"附件|附檔|attach",
        r"保密|机密|機密|专有|專有|confidential|privileged|proprietary",
        r"(?:仅|僅|只|专|專).{0,12}(?:收件人|收信人|接收|个人|個人|群组|群組|列出|指定|特定|参考|參考|使用)"
        r"|intended (?:only|solely)|(?:solely|only) for",
        r"误收|誤收|错收|錯收|误发|誤發|错误地?(?:接收|收到)|非.{0,8}收件人|不是.{0,12}收件人|in error|not the intended|mistake",
        r"删除|刪除|销毁|銷毀|delete|destroy",
        r"(?:禁止|严禁|嚴禁|不得|切勿|请勿|請勿).{0,30}(?:使用|复制|複製|散[布发發佈]|泄露|洩露|披露|传播|傳播|转发|轉發)"
        r"|disseminat|distribut|disclos|copying",
        r"病毒|virus|不承担|不承擔|liab",
        r"免责|免責|法律责任|法律責任|违法|違法|disclaimer|unlawful|prohibited",
        r"打印此?邮件|列印|环保|環保|before printing|environment",
    )
)
_LEAST_FORMULAS = 3
_SENTENCES = re.compile(r"[。！？]")
_FINISHED = re.compile(r"[。！？.!?；;:：]\s*$")
# Who writes a disclaimer does not speak of himself, and asks for nothing else.
_OWN_VOICE = re.compile(r"我(?!司|公司|方|行|集团|集團)|咱|贵司|贵公司|你们|你們|诉求|訴求|威胁|威脅|\bI\b|\bmy\b", re.ASCII)
_LOOKED_AT = 400

# What nobody writes on his card: words of a sentence, of a trouble, of a demand; numbers of a list; the labels of a form.
_NO_CARD = re.compile(
    r"[了吗呢吧嗎]|没|沒|不(?!动产|動產)|无(?!锡)|無(?!錫)|未(?!来|來)|别(?!墅)|谁|誰|什么|什麼|怎么|怎麼|为何|多少|至今|已经|已經"
    r"|漏|裂|坏|壞|塌|渗|滲|霉|脱落|堵|噪|吵|臭|积水|積水|返味|停[水电電]|骗|騙|差价|退[房钱錢款还還定]|赔|賠|投诉|投訴|要求|诉求|问题|問題|[请請]"
    r"|楼盘|樓盤|房号|房號|户号|编号|事由|描述|诉|\b(?:leak|crack|refund|broken|nobody|never|not|please|problem|complain|want|need)",
    re.IGNORECASE,
)
_LISTED = re.compile(r"[（(]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})[、.．)）](?!\d)|第[一二三四五六七八九十\d]|[①-⑳]|[*•·]\s")
# What cards consist of, besides names and ways to reach somebody.
_ON_CARD = re.compile(
    r"集团|集團|中心$|[部处局所科]$|事务所|大学|大學|学院|医院|银行|经理|經理|主任|总监|總監|工程师|工程師|助理|主管|律师|律師|教授|董事|总裁|秘书|会计|业主|業主"
    r"|先生|女士|小姐|此致|敬礼|敬禮|祝好|祝您|顺祝|商祺|順祝|\d+\s*[-]?\s*(?:栋|棟|幢|号楼|號樓|号|號|室|楼|樓|单元|單元|层|弄|座)"
    r"|\b(?:ltd|inc|llc|gmbh|co\.|limited|regards|sincerely|manager|director|engineer|department|dept)\b"
    r"|https?://|^\[[^\]]{1,60}\]$|^[\d年月日./: ：-]{4,30}$",
    re.IGNORECASE,
)
_CAPITAL = r"(?:[A-Z][\w'’.-]*|of|the|and|for|de|&)"
_TITLE_CASE = re.compile(rf"{_CAPITAL}(?:[,\s|]+{_CAPITAL}){{0,7}}", re.ASCII)
_PIECES = re.compile(r"[\s|/,，、·]+")
_LONGEST_ON_CARD = 60
_STRANGE_ON_CARD = 16


def looks_like_card(lines: Sequence[str], most: int = 8) -> bool:
    """Whether these lines can be somebody's card: few, short, each a name, a company, an office or a way to reach him; no sentence, no
    list, no trouble. One line may be something else (a home, a motto), so that in doubt a line stays."""
    entries = [line.strip(" *_|") for line in lines]
    entries = [entry for entry in entries if entry and not RULE.fullmatch(entry)]
    if not 1 <= len(entries) <= most:
        return False
    strange = 0
    for entry in entries:
        if len(entry) > _LONGEST_ON_CARD or SENTENCE_END.search(entry) or _NO_CARD.search(entry) or _LISTED.match(entry):
            return False
        if not _belongs_on_card(entry):
            strange += 1
            if len(entry) > _STRANGE_ON_CARD:
                return False
    return strange <= 1 and strange < len(entries)


def _belongs_on_card(entry: str) -> bool:
    if _CONTACT.search(entry) or _ON_CARD.search(entry) or _TITLE_CASE.fullmatch(entry) or _is_footer(entry):
        return True
    return any(looks_like_person(piece) for piece in (entry, *_PIECES.split(entry)))


def without_endings(lines: Sequence[str], *, alone: bool) -> list[str]:
    """`lines`, which are all that somebody wrote in one place, without footers, disclaimer and signature at their end.

    alone: whether they may all be taken away, because it is known that the mail holds more than them (a quotation, say).
    """
    kept = without_footers(lines)
    kept = without_footers(_without_disclaimer(kept, alone))
    return without_footers(_without_signature(kept, alone))


def _without_signature(lines: list[str], alone: bool) -> list[str]:
    """Without what stands below `-- ` (RFC 3676 4.3) or a rule, where it looks like a card; and without NetEase's card."""
    lines = _without_bars(lines, alone)
    last = _end(lines)
    for at in range(last - 1, max(-1, last - 25), -1):
        line = lines[at].strip()
        rule = RULE.fullmatch(line) is not None
        if not rule and line != "--" and not (line in ("—", "——", "---") and at >= last - 8):
            continue
        below = lines[at + 1 : last]
        if rule and not any(_CONTACT.search(entry) for entry in below):
            return lines
        # The mark with its blank is a program's; then even a motto may stand below.
        if not (looks_like_card(below, 10) or (lines[at] == "-- " and _plain_signature(below))):
            return lines
        above = at
        while above and lines[above - 1].strip() in ("", "--"):
            above -= 1
        return lines[:above] if alone or _says_something(lines[:above]) else lines
    return lines


def _plain_signature(lines: Sequence[str]) -> bool:
    entries = [line.strip() for line in lines if line.strip()]
    return len(entries) <= 8 and all(len(one) <= 60 and not _NO_CARD.search(one) and not _LISTED.match(one) for one in entries)


def _says_something(lines: Sequence[str]) -> bool:
    return any(line.strip() and not _is_footer(line.strip()) for line in lines)


def _end(lines: Sequence[str], last: int | None = None) -> int:
    """The number of lines, or of the first `last` of them, without the blank ones at the end."""
    last = len(lines) if last is None else last
    while last and not lines[last - 1].strip():
        last -= 1
    return last


def without_footers(lines: Sequence[str]) -> list[str]:
    """Without the lines at the end that a mailer appends."""
    last = _end(lines)
    while last and _is_footer(lines[last - 1].strip()):
        # `…让我⏎用微信发送` is a sentence that was wrapped.
        if _LOOSE.fullmatch(lines[last - 1].strip()) and last > 1 and lines[last - 2].strip() and not _FINISHED.search(lines[last - 2]):
            break
        last = _end(lines, last - 1)
    return list(lines[:last])


def _without_bars(lines: list[str], alone: bool) -> list[str]:
    """Without the table of bars that NetEase's mailers make of a card: `| |`, name, `|`, address, `|`, each on a line."""
    last = _end(lines)
    edges = [at for at in range(max(0, last - 14), last) if "|" in lines[at] and _CARD_EDGE.fullmatch(lines[at])]
    if len(edges) < 2 or lines[edges[0]].strip() != "| |" or edges[-1] != last - 1:
        return lines
    card = lines[edges[0] : last]
    if not looks_like_card(card) or any(line.count("|") > 2 for line in card):
        return lines
    return lines[: edges[0]] if alone or _says_something(lines[: edges[0]]) else lines


def without_card(lines: list[str]) -> list[str]:
    """Without the few short lines at the end, two blank lines or more below the letter, that tell how to reach its writer."""
    last = _end(lines)
    first = last
    while first and lines[first - 1].strip() and last - first < 7:
        first -= 1
    card = lines[first:last]
    if first < 3 or any(lines[at].strip() for at in (first - 1, first - 2)):
        return lines
    return lines[:first] if looks_like_card(card, 6) and any(_CONTACT.search(line) for line in card) else lines


def _without_disclaimer(lines: list[str], alone: bool) -> list[str]:
    """Without the last paragraphs where a company's mail server says whom the mail is for and that it is confidential."""
    last = _end(lines)
    for at in range(max(0, last - 30), last):
        line = lines[at].strip(" *_>")
        if len(line) < 12 or not _DISCLAIMER.match(line[:_LOOKED_AT]):
            continue
        if _is_boilerplate(lines[at:last]) and (alone or _says_something(lines[:at])):
            while at and not lines[at - 1].strip(" -_*="):
                at -= 1
            return lines[:at]
    return lines


def _is_boilerplate(lines: Sequence[str]) -> bool:
    """Whether each of these sentences is a formula of disclaimers, and several of the formulas are among them."""
    found: set[int] = set()
    sentence = ""
    for line in [*lines, ""]:
        sentence += line.strip(" *_>")[:2000]
        if line.strip() and not _FINISHED.search(line):
            # Wrapped; the sentence goes on.
            continue
        for part in _SENTENCES.split(sentence):
            here = {place for place, formula in enumerate(_FORMULAS) if formula.search(part)}
            polite = len(part) <= 12 and not _NO_CARD.search(part)
            if _OWN_VOICE.search(part) or not (here or polite):
                return False
            found |= here
        sentence = ""
    return len(found) >= _LEAST_FORMULAS


def _is_footer(line: str) -> bool:
    if line.endswith((">", ")")) and len(line) <= 300:
        line = _TARGET.sub("", line)
    if not 4 <= len(line) <= 80 or not _FOOTER_HINT.search(line):
        return False
    line = line.strip("[]()（）|*_ ")
    return any(footer.fullmatch(line) for footer in _FOOTERS)
