"""Who writes: the customer's name where he gives it, is asked for it, is addressed by it, or signs with it (预案 4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from classifiers.facets import HOME
from classifiers.homes import is_city

# What other fields occupy is written as this character before names are looked for, so that places stay and nothing is read twice.
TAKEN = "\x00"
# The same for unit and estate.
HOME_TAKEN = "\x01"

_HAN = "\u3400-\u9fff"

# From here on a name is given as one, and is taken before an estate is looked for.
SURE = 5

# Forms of address that follow a surname or a nickname.
_CALLED = (
    "先生|女士|小姐|太太|老师|师傅|大姐|大哥|大爷|大妈|大叔|大娘|大嫂|大伯|阿姨|阿婆|奶奶|爷爷|婆婆|"
    "姆妈|老板|医生|记者|同学|sir|仔|姐|哥|叔|婶|嫂|姨|伯|工|总"
)
_PARENT = "妈妈|爸爸|妈|爸|姆妈"
# Titles that a customer signs with, but nobody who names himself by the way.
_OFFICES = "总监|经理|主任|会计|律师"

# Characters that stand in names next to never, but often behind one.
_BEHIND = "的了是在不我你他她它们这那就都也会能说问来去到给把被跟和与及或但因为吗呢吧啊呀么什请您之此再又还已住买号栋层室啦哈咯嘛哦哟嘞嘅咗"

# Surnames that begin too many words, and characters that end them: such a name needs an outright cue.
_WORDY = (
    "都全管和时应相从成能通那哈元门信初平计单但干於向来展盖练经强家有修谢何如同还多任解付查支化终开权宿花米金房车居过费水万关保于常满钱"
)
_WORDY_END = "没有过好吧人家些么样好天年月日上下里中前后边起出完成费款钱房楼题时候回事子头面法理话行知道证书要急紧等"

# A name that is also a word this frequent (in jieba's dictionary) needs an outright cue.
_COMMON = 30
# Two characters that are so frequent a word do not begin a name of three.
_BEGINS_WORD = 400

# Latin words that stand where a name could.
_LATIN_WORDS = frozenset(
    re.findall(
        r"[a-z]+",
        "plz please thanks thx hi hello ok re fw fyi ps app loft vip wifi no yes sir dear regards tel email asap pos logo sample yours "
        "best thank you sincerely cheers mobile phone unit block tower owner iphone sent from my the this i we to office here now room so",
    )
)

# Who is spoken of here is staff or somebody else's family, not the one who writes.
_OTHERS = re.compile(
    r"(?:销售|顾问|管家|经理|主任|专员|保安|主管|工程师|队长|总监|客服|律师|司机|中介|置业|项目总|物业|前台|财务|对接人|经办人|负责人|工人|同事|邻居|朋友|"
    r"一个|一位|那个|那位|这个|这位|有个|有位|叫做|叫|找|被投诉人|老公|老婆|我爸|我妈|儿子|女儿|自称)[姓叫是:]{0,2}$"
)


@cache
def _surnames() -> tuple[str, str]:
    """All surnames of one character as one string, and those of two parted by `|`."""
    lines = [line for line in (HOME / "surnames.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    single = "".join(line for line in lines if " " not in line)
    return single, "|".join(word for line in lines if " " in line for word in line.split())


# What short words that close a text hold, and names do not.
_CLOSING_CHARS = (
    "[谢退急快求请回复盼顶哈呵嗯好的了吗呢吧啊呀么我你您他她它们是不没有在这那就都也要给把被能会等速赶马"
    "上立刻多啥咋何时解处理投诉赔修换拆停还决间个转撤返拖]"
)
_CLOSING = re.compile(
    rf"{_CLOSING_CHARS}|一[个位名户群]|工$|祝|此致|敬礼|附件|以[上下]|日期|星期|电话|地址|业主|客户|无语|晚安|再见|完毕|附|"
    r"[市区县省驿部组院府苑湾洲港]$|公司|集团|全体|居民|联名|名门|公园|人$"
)
# Names from other tongues are written with these.
_FOREIGN = "尔丽古阿依努巴特其格扎西平措次仁卓嘎卜力孜哈斯根娜达迪木提江买热拉姆旦多吉云乌干查苏克不汗孜麦买合日"


class Forms:
    """What names look like, as parts of regular expressions over normalised text."""

    def __init__(self) -> None:
        self.single, self.double = _surnames()
        last = self.last = rf"[{_HAN}](?<![{_BEHIND}])"
        self.surname = rf"(?:{self.double}|[{self.single}])"
        self.full = rf"(?:(?:{self.double}){last}(?:{last})?|[{self.single}]{last}(?:{last})?)"
        self.called = (
            rf"(?:(?:{self.double}|[{_HAN}]) ?(?:{_CALLED})|[小老阿大][{self.single}](?:头|{_CALLED})?|"
            rf"[{_HAN}]{{1,2}}(?:{_PARENT})(?!妈|爸))"
        )
        # Nicknames that say so by their form: 丽丽, 阿茶, 阿may, tony仔, grace 林.
        self.nick = (
            rf"(?:(?P<twice>[{_HAN}])(?P=twice)(?!(?P=twice))|阿(?:[{_HAN}]|[a-z]{{2,10}})|小[{_HAN}]|[a-z]{{2,12}}(?:仔| [{self.single}]))"
        )
        self.latin = r"[a-z][a-z']{1,14}\.?(?:\s[a-z][a-z']{0,14}\.?){0,2}"


@cache
def _cues() -> tuple[tuple[int, bool, str, re.Pattern[str]], ...]:
    """How names are given, surest first: (sureness, whether it may be a common word, characters of which the text must hold one, pattern).

    The first group that took part is the name.
    """
    forms = Forms()
    full, called, latin, surname = forms.full, forms.called, forms.latin, forms.surname
    over = rf"(?![{_HAN}])"
    edge = rf"(?=[^{_HAN}]|$)"
    phone = r"[ ,、:;(]{0,3}(?:联系)?(?:电话|手机号?|tel|微信)?[ :是]{0,3}"
    asked_words = (
        "姓名|联系人|投诉人(?<!被投诉人)|反映人|申请人|来信人|写信人|署名|购房人|买受人|落款|委托人|留言人|代表|报告人|执笔|举报人|留的名字|我的名字|"
        "买方|发函人|真名|落款人"
    )
    asked = rf"(?:{asked_words})(?:\s?(?:是|叫|[:])\s?|[ ](?=[{_HAN}]))"
    here = r"(?:我是|我就是|我系|我係|俺是|咱是|这边是|本人是?|本人系)"
    role = r"(?:反映人|投诉人|写信人|报告人|写信的是|业主|购房人|买受人|购房者|市民|村民|居民|职工|租户|客户|户主|执笔|家长)"
    mine = r"(?:(?<=我)|(?<=我是)|(?<=俺)|(?<=咱)|(?<=本人)|(?<=免贵)|"
    mine += r"(?<=[我,。 ]复)|(?<=^复)|(?<=\n复)|(?<=^)|(?<=\n)|(?<=[我人],)|(?<=[ ,。])(?=姓[^,]{1,2}(?:[ \n\x00]|$)))"
    ended = rf"(?=[^{_HAN}]|$|的|住|是|在|今年|我)(?!的(?:那|专|经|主|销|大|小|师|女|先|顾|管|客|还|给))"
    return (
        (
            9,
            True,
            "",
            re.compile(rf"(?:我叫|俺叫|我的?名字叫|本人叫|[我,]名叫|{asked})({full})"),
        ),
        (
            9,
            True,
            "",
            re.compile(rf"(?:我叫|俺叫|{asked})\s?({latin}|{forms.nick})(?![a-z])"),
        ),
        (
            9,
            True,
            "s",
            re.compile(rf"(?:name is|(?:i am|this is)(?= [a-z]+ [a-z]+[,.])|this is(?= [a-z]+[,.]))\s({latin})(?![a-z])"),
        ),
        (
            9,
            True,
            "姓",
            re.compile(
                rf"{mine}姓\s?(?P<s>{surname})[,。 、]{{0,2}}"
                rf"(?:[^,。\n姓]{{0,6}}[,。])??(?:名?叫|名字叫)?(?P<name>(?P=s)(?:{forms.last}){{1,3}}?){edge}"
            ),
        ),
        (
            8,
            True,
            "叫呼喊",
            re.compile(
                rf"(?:叫我|称呼我|喊我)(?:做|作|声)?(?!全名|大[姐哥爷妈叔娘名]|老板|美女|[先女]|[进去来别等])({called}|{full}|{latin}|{forms.nick})(?=[^{_HAN}a-z]|就|好|吧|得|可以|$)"
            ),
        ),
        (
            8,
            True,
            "叫",
            re.compile(rf"(?<!把)(?:我叫|俺叫)(?![了上您你他她它们个来啥什])([{_HAN}]{{2,4}}?)(?=[^{_HAN}·]|住|是|在|家|$)"),
        ),
        (7, False, "主人民户者笔长工", re.compile(rf"{role}(?:是|为|叫)?[ ,:]?({full}|小[{forms.single}]){edge}")),
        (
            7,
            False,
            "是系",
            re.compile(rf"{here}({full}|{called}|小[{_HAN}])(?=[^{_HAN}]|的|住|家住|就|因|于|在|电话|手机|呀|啊|呐|$)"),
        ),
        (
            7,
            False,
            ",(",
            re.compile(
                rf"(?:^|本人|我,|老板|成员|记者|教师|研究生|护士|医生|职员)((?:{forms.double}|[{forms.single}])(?:{forms.last}){{2}}|小{surname})(?=[,(])"
            ),
        ),
        (7, False, "的", re.compile(rf"^[{_HAN}]{{2,10}}的({surname}(?:{forms.last}){{2}})(?=,)")),
        (
            7,
            False,
            "我",
            re.compile(rf"(?:(?<![{_HAN}])|好|客服吗)(?:我|本人)({full}|[{_HAN}]师傅|[{_HAN}][姐哥]|[{_HAN}]大[哥姐])(?=[^{_HAN}]|$)"),
        ),
        (
            7,
            False,
            "的",
            re.compile(rf"(?:我是?|住在)[^,。!?;\n我]{{1,14}}的({full}|{called}|{forms.nick})(?=[^{_HAN}]|呀|啊|$)"),
        ),
        (6, True, "姓", re.compile(rf"{mine}姓\s?({surname}){ended}")),
        (6, False, TAKEN, re.compile(rf"(?:^|[^{_HAN}a-z])({full}|{called}|{forms.nick}|{latin}){phone}{TAKEN}{{7}}")),
        (
            6,
            True,
            TAKEN,
            re.compile(
                rf"(?:^|[\n。!? ,])({surname}|(?!{{closing}})[{_HAN}]{{2,3}})[ ,:]{{1,2}}{TAKEN}{{7}}".replace(
                    "{closing}", rf"[{_HAN}]{{0,2}}(?:{_CLOSING_CHARS}|新号|邮箱|微信|手机|电话|号码|打|发|[说用号]|姓|叫|我)"
                )
            ),
        ),
        (
            6,
            False,
            "我",
            re.compile(rf"(?<![{_HAN}])我([{forms.single}][{_HAN}](?<![{_BEHIND}])[{_HAN}](?<![{_BEHIND}]))(?=[活不买住家跟就说把给同做])"),
        ),
        (5, False, TAKEN, re.compile(rf"{TAKEN}{{5}}[ ,、:;(\n]{{0,2}}({full}|{called}){over}")),
        (
            5,
            False,
            TAKEN + HOME_TAKEN,
            re.compile(rf"[{TAKEN}{HOME_TAKEN}](?:的?户?业?主?)[ ,、:;(\n]{{0,2}}({full}|{called}|{forms.nick}|{latin}){over}(?![a-z])"),
        ),
        (
            5,
            False,
            TAKEN + HOME_TAKEN,
            re.compile(rf"(?:^|\n)[ ]*({full}|{called}|{latin})[ ,、:;(\n]{{1,2}}(?=[{TAKEN}{HOME_TAKEN}])"),
        ),
        (4, False, " \n,", re.compile(rf"(?:^|[ \n。!?,])({full}|{called})(?=[ \n。!?,]|$)")),
    )


@cache
def _signature() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Patterns of a line that is a signature, of a name at the end of a line, and of any short word that may sign a text."""
    forms = Forms()
    called = rf"(?:{forms.called}|{forms.nick}|(?:{forms.double}|[{forms.single}])(?:{_OFFICES})|[{_HAN}]家[{_HAN}]{{2}})"
    before = r"[\s\-—~(>]*(?:投诉人|业主|此致|敬礼|落款|代表|执笔人?|写信人|来信人|客户|住户|委托人|居民|户主|联系人|儿|女)?[:\s]*"
    behind = r"\s?(?:敬上|上|呈|谨上|亲笔|泣书|叩上|敬启|拜上|手书)?"
    alone = re.compile(rf"^{before}({forms.full}|{called}|{forms.latin}){behind}(?=[^{_HAN}a-z]|$)")
    ending = re.compile(rf"(?:^|[\s,。!?;、…)—]|[{TAKEN}])({forms.full}|{called})[\s。.!~{TAKEN}]*$")
    word = re.compile(
        rf"^(?P<dash>[\s\-—~]*){before}(?P<name>[{_HAN}]{{2,3}}|[{_HAN}·]{{4,6}}|[{forms.single}] [{_HAN}]|"
        rf"[{_HAN}]{{1,3}}(?=[,(] ?[{_HAN}]{{2,9}}\)?。?$)|{forms.latin}){behind}"
        rf"(?:,[^,。()]{{1,12}}。?|\([^()]{{1,24}}\)。?)?[ {TAKEN}{HOME_TAKEN}]*$"
    )
    return alone, ending, word


def find_name(
    text: str, frequency: Callable[[str], int], least: int = 0, most: int = 9, capital: Callable[[int], bool] = lambda place: True
) -> tuple[int, int] | None:
    """Where in a normalised text the customer's name stands, or `None`. Places that belong to other fields hold `TAKEN`.

    frequency: how often jieba's dictionary counts a word; 0 where it has none.
    least:     how sure it must be; from `SURE` on somebody says in so many words that it is a name, or signs with it.
    most:      cues surer than this are not tried again.
    capital:   whether the original has a capital letter at a place; a Latin name begins with one.
    """
    best: tuple[int, int, int] | None = None
    for sureness, common, needs, pattern in _cues():
        if sureness > most:
            continue
        if sureness < least or (best is not None and sureness <= best[0]):
            break
        # Asking for one or two characters takes a fiftieth of the time of most patterns.
        if needs and needs[0] not in text and needs[-1] not in text and not any(need in text for need in needs[1:-1]):
            continue
        for match in pattern.finditer(text):
            start, end = match.span("name") if "name" in pattern.groupindex else match.span(1)
            if sureness < 8 and _OTHERS.search(text, max(0, start - 8), start):
                continue
            if sureness >= 6:
                end = _cut_short(text, start, end, frequency)
            name = text[start:end]
            if name[0].isascii() and name[0].isalpha() and not (capital(start) and _latin_name(name)):
                continue
            if common or _rare(name, frequency):
                best = (sureness, start, end)
                break
    surname_only = best is not None and text[best[1] : best[2]] in _surnames()[0]
    if best is not None and best[0] > 5 and not surname_only:
        return best[1], best[2]
    signed = _signed(text, frequency, capital)
    # Who says that his surname is 瞿 and signs 瞿颖 has given both.
    if best is not None and surname_only and best[0] > 5 and (signed is None or text[signed[0]] != text[best[1]]):
        return best[1], best[2]
    if signed is not None:
        return signed
    return None if best is None else (best[1], best[2])


def _signed(text: str, frequency: Callable[[str], int], capital: Callable[[int], bool]) -> tuple[int, int] | None:
    """A name that stands alone on one of the last three lines or the first, or at the very end."""
    alone, ending, word = _signature()
    lines: list[tuple[int, str]] = []
    place = 0
    for line in text.split("\n"):
        if line.strip():
            lines.append((place, line))
        place += len(line) + 1
    if not lines:
        return None

    def may_be(start: int, name: str) -> bool:
        if name[0].isascii():
            return capital(start) and _latin_name(name)
        return _rare(name, frequency)

    for start, line in lines[:-4:-1]:
        if len(line) > 60 and TAKEN not in line:
            continue
        match = alone.match(line)
        if match and len(line.replace(TAKEN, "").replace(HOME_TAKEN, "").strip()) <= 14 and may_be(start + match.start(1), match[1]):
            return start + match.start(1), start + match.end(1)
    closing = _closing(text, lines, word, frequency, capital)
    if closing is not None:
        return closing
    start, line = lines[-1]
    match = ending.search(line[-24:])
    if match and _rare(match[1], frequency):
        offset = start + max(0, len(line) - 24)
        if not _OTHERS.search(text, max(0, offset + match.start(1) - 8), offset + match.start(1)):
            return offset + match.start(1), offset + match.end(1)
    start, line = lines[0]
    match = alone.match(line)
    if (
        match
        and len(lines) > 1
        and len(line.replace(TAKEN, "").strip(" ,。")) == len(match[1])
        and may_be(start + match.start(1), match[1])
    ):
        return start + match.start(1), start + match.end(1)
    return None


_SENTENCE_END = "。!?…”)~;.】》’"


def _closing(
    text: str, lines: list[tuple[int, str]], word: re.Pattern[str], frequency: Callable[[str], int], capital: Callable[[int], bool]
) -> tuple[int, int] | None:
    """A short piece after the last sentence, whatever word it is: in a text that ends its sentences, that is who signs."""
    for number in range(len(lines) - 1, max(-1, len(lines) - 4), -1):
        start, line = lines[number]
        line = line.rstrip()
        # The piece behind the last full stop of the line, or the whole line.
        cut = max(max(line.rfind(sign, 0, len(line) - 1) for sign in "。!?…”"), line.rfind(". ", 0, len(line) - 1)) + 1
        cut += len(line[cut:]) - len(line[cut:].lstrip())
        piece = line[cut:]
        match = word.match(piece) if len(piece) <= 40 else None
        if match is None:
            if len(line) > 16:
                return None
            continue
        name = match["name"]
        begin = start + cut + match.start("name")
        if name[0].isascii():
            if not (capital(begin) and _latin_name(name)):
                continue
        elif _no_signer(name, frequency):
            continue
        before = line[:cut].rstrip() if cut else (lines[number - 1][1].rstrip() if number else "")
        dashed = bool(match["dash"].strip())
        surnamed = name[0] in _surnames()[0]
        if not dashed and (
            not before or before[-1] not in _SENTENCE_END or (len(name) > 3 and not name.isascii() and cut and not surnamed)
        ):
            continue
        if cut and not dashed and not surnamed and frequency(name) >= 2000:
            continue
        return begin, begin + len(name)
    return None


def closes(word: str) -> bool:
    """Whether a word that begins like a name goes on like words that answer or close."""
    return _CLOSING.search(word, 1) is not None or word[0] in "都好全"


def _no_signer(name: str, frequency: Callable[[str], int]) -> bool:
    """Whether a short piece at the end of a text is a closing word, a city, or too long for a name."""
    surnamed = name[0] in _surnames()[0] or name[:2] in _surnames()[1]
    if _CLOSING.search(name, 1 if surnamed and len(name) < 4 else 0) or is_city(name):
        return True
    return len(name) > 3 and "·" not in name and (bool(frequency(name)) or sum(char in _FOREIGN for char in name) * 2 < len(name))


def _cut_short(text: str, start: int, end: int, frequency: Callable[[str], int]) -> int:
    """Where a name of three characters ends that runs on without a stop: 我叫郑凯上个月 is 郑凯, for 上个 is a word and 凯上 none."""
    if end - start == 3 and end < len(text) and "\u3400" <= text[end] <= "\u9fff" and text[start] >= "\u3400":
        runs_on = frequency(text[end - 1 : end + 1]) or frequency(text[end - 1 : end + 2])
        if runs_on and frequency(text[start + 1 : end]) < _COMMON and text[end - 1] in "上昨今前去现已后当家二一三四五六七八九十":
            return end - 1
    return end


def _latin_name(name: str) -> bool:
    return not any(part.strip(".") in _LATIN_WORDS for part in name.split())


def _rare(name: str, frequency: Callable[[str], int]) -> bool:
    """Whether a piece of text that is shaped like a name is not rather a common word or the beginning of a sentence."""
    if name[0].isascii():
        return _latin_name(name)
    if name[0] in "我你什您都全" or (len(name) == 2 and is_city(name)):
        return False
    # 丽丽: doubled, which few words are.
    if len(name) == 2 and name[0] == name[1]:
        return frequency(name) < _BEGINS_WORD and not _CLOSING.search(name)
    if len(name) > 1 and _TITLED.search(name):
        return name[0] not in "个两几各这那" and frequency(name) < 3000
    if name.startswith("谢谢") or frequency(name) >= _COMMON or name[-1] in _WORDY_END:
        return False
    if len(name) == 3 and frequency(name[:2]) >= _BEGINS_WORD:
        return False
    return name[0] not in _WORDY or frequency(name[1:]) < _COMMON


_TITLED = re.compile(rf"(?:{_CALLED})$")
