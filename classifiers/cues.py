"""How names look and in which words they are given: the patterns that `names` searches for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from classifiers.facets import HOME

# What other fields occupy is written as this character before names are looked for, so that places stay and nothing is read twice.
TAKEN = "\x00"
# The same for unit and estate.
HOME_TAKEN = "\x01"

# With the rare ones that names are written with, beyond the first plane too: 𠮷, 𬭎.
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"

# Forms of address that follow a surname or a nickname.
CALLED = (
    "先生|女士|小姐|太太|老师|师傅|大姐|大哥|大爷|大妈|大叔|大娘|大嫂|大伯|阿姨|阿婆|奶奶|爷爷|婆婆|"
    "姆妈|老板|医生|记者|同学|sir|仔|姐|哥|叔|婶|嫂|姨|伯|工|总"
)
PARENT = "妈妈|爸爸|妈|爸|姆妈"
# Titles that a customer signs with, but nobody who names himself by the way.
OFFICES = "总监|经理|主任|会计|律师"

# Characters that stand in names next to never, but often behind one.
_BEHIND = "的了是在不我你他她它们这那就都也会能说问来去到给把被跟和与及或但因为吗呢吧啊呀么什请您之此再又还已住买号栋层室啦哈咯嘛哦哟嘞嘅咗"


@cache
def surnames() -> tuple[str, str]:
    """All surnames of one character as one string, and those of two parted by `|`."""
    lines = [line for line in (HOME / "surnames.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    single = "".join(line for line in lines if " " not in line)
    return single, "|".join(word for line in lines if " " in line for word in line.split())


# What short words that close a text hold, and names do not.
CLOSING_CHARS = (
    "[谢退急快求请回复盼顶哈呵嗯好的了吗呢吧啊呀么我你您他她它们是不没有在这那就都也要给把被能会等速赶马"
    "上立刻多啥咋何时解处理投诉赔修换拆停还决间个转撤返拖]"
)


class Forms:
    """What names look like, as parts of regular expressions over normalised text."""

    def __init__(self) -> None:
        self.single, self.double = surnames()
        last = self.last = rf"[{_HAN}](?<![{_BEHIND}])"
        self.surname = rf"(?:{self.double}|[{self.single}])"
        self.full = rf"(?:(?:{self.double}){last}(?:{last})?|[{self.single}]{last}(?:{last})?)"
        self.called = (
            rf"(?:(?:{self.double}|[{_HAN}]) ?(?:{CALLED})|[小老阿大][{self.single}](?:头|{CALLED})?|"
            rf"[{_HAN}]{{1,2}}(?:{PARENT})(?!妈|爸))"
        )
        # Nicknames that say so by their form: 丽丽, 阿茶, 阿may, tony仔, grace 林.
        self.nick = (
            rf"(?:(?P<twice>[{_HAN}])(?P=twice)(?!(?P=twice))|阿(?:[{_HAN}]|[a-z]{{2,10}})|小[{_HAN}]|[a-z]{{2,12}}(?:仔| [{self.single}]))"
        )
        self.latin = r"[a-z][a-z']{1,14}\.?(?:\s[a-z][a-z']{0,14}\.?){0,2}"


class Cue(NamedTuple):
    """A way how names are given.

    sureness, common: how sure it is, and whether the name may be a common word.
    needs:   characters of which the text must hold one.
    pattern: group `name` or the first is the name; one that begins with a character or a choice of words is searched for quickest.
    first:   the same for the very beginning of a text.
    gate:    what must be found in the text, where that is quicker than the pattern.
    """

    sureness: int
    common: bool
    needs: str
    pattern: re.Pattern[str]
    first: re.Pattern[str] | None = None
    gate: re.Pattern[str] | None = None

    def matches(self, text: str) -> Iterator[re.Match[str]]:
        """Where names may be given in this way, not overlapping."""
        place = 0
        if self.first is not None and (match := self.first.match(text)):
            yield match
            place = match.end()
        yield from self.pattern.finditer(text, place)


@cache
def cues() -> tuple[Cue, ...]:
    """How names are given, surest first."""
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
    # The words before `full` and `latin` in the first two, by the last of their characters.
    given = re.compile(r"[名人款表笔字方我俺](?:\s?叫|(?<![我俺])(?:\s?[是:]| ))")
    beginning = rf"((?:{forms.double}|[{forms.single}])(?:{forms.last}){{2}}|小{surname})(?=[,(])"
    alone = rf"({full}|{called})(?=[ \n。!?,]|$)"
    before = rf"(?:(?<![{_HAN}])|(?<=好)|(?<=客服吗))"
    return (
        Cue(
            9,
            True,
            "",
            re.compile(rf"(?:我叫|俺叫|我的?名字叫|本人叫|[我,]名叫|{asked})({full})"),
            gate=given,
        ),
        Cue(
            9,
            True,
            "",
            re.compile(rf"(?:我叫|俺叫|{asked})\s?({latin}|{forms.nick})(?![a-z])"),
            gate=given,
        ),
        Cue(
            9,
            True,
            "s",
            re.compile(rf"(?:name is|(?:i am|this is)(?= [a-z]+ [a-z]+[,.])|this is(?= [a-z]+[,.]))\s({latin})(?![a-z])"),
        ),
        Cue(
            9,
            True,
            "姓",
            re.compile(
                rf"姓(?<={mine}.)\s?(?P<s>{surname})[,。 、]{{0,2}}"
                rf"(?:[^,。\n姓]{{0,6}}[,。])??(?:名?叫|名字叫)?(?P<name>(?P=s)(?:{forms.last}){{1,3}}?){edge}"
            ),
        ),
        Cue(
            8,
            True,
            "叫呼喊",
            re.compile(
                rf"(?:叫我|称呼我|喊我)(?:做|作|声)?(?!全名|大[姐哥爷妈叔娘名]|老板|美女|[先女]|[进去来别等])({called}|{full}|{latin}|{forms.nick})(?=[^{_HAN}a-z]|就|好|吧|得|可以|$)"
            ),
        ),
        Cue(
            8,
            True,
            "叫",
            re.compile(rf"(?<!把)(?:我叫|俺叫)(?![了上您你他她它们个来啥什])([{_HAN}]{{2,4}}?)(?=[^{_HAN}·]|住|是|在|家|$)"),
        ),
        Cue(7, False, "主人民户者笔长工", re.compile(rf"{role}(?:是|为|叫)?[ ,:]?({full}|小[{forms.single}]){edge}")),
        Cue(
            7,
            False,
            "是系",
            re.compile(rf"{here}({full}|{called}|小[{_HAN}])(?=[^{_HAN}]|的|住|家住|就|因|于|在|电话|手机|呀|啊|呐|$)"),
        ),
        Cue(
            7,
            False,
            ",(",
            re.compile(rf"(?:本人|我,|老板|成员|记者|教师|研究生|护士|医生|职员){beginning}"),
            first=re.compile(beginning),
        ),
        Cue(7, False, "的", re.compile(rf"^[{_HAN}]{{2,10}}的({surname}(?:{forms.last}){{2}})(?=,)")),
        Cue(
            7,
            False,
            "我",
            re.compile(rf"(?:我(?<={before}.)|本人(?<={before}..))({full}|[{_HAN}]师傅|[{_HAN}][姐哥]|[{_HAN}]大[哥姐])(?=[^{_HAN}]|$)"),
        ),
        Cue(
            7,
            False,
            "的",
            re.compile(rf"(?:我是?|住在)[^,。!?;\n我]{{1,14}}的({full}|{called}|{forms.nick})(?=[^{_HAN}]|呀|啊|$)"),
        ),
        Cue(6, True, "姓", re.compile(rf"姓(?<={mine}.)\s?({surname}){ended}")),
        Cue(6, False, TAKEN, re.compile(rf"(?:^|[^{_HAN}a-z])({full}|{called}|{forms.nick}|{latin}){phone}{TAKEN}{{7}}")),
        Cue(
            6,
            True,
            TAKEN,
            re.compile(
                rf"(?:^|[\n。!? ,])({surname}|(?!{{closing}})[{_HAN}]{{2,3}})[ ,:]{{1,2}}{TAKEN}{{7}}".replace(
                    "{closing}", rf"[{_HAN}]{{0,2}}(?:{CLOSING_CHARS}|新号|邮箱|微信|手机|电话|号码|打|发|[说用号]|姓|叫|我)"
                )
            ),
        ),
        Cue(
            6,
            False,
            "我",
            re.compile(
                rf"我(?<=(?<![{_HAN}]).)([{forms.single}][{_HAN}](?<![{_BEHIND}])[{_HAN}](?<![{_BEHIND}]))(?=[活不买住家跟就说把给同做])"
            ),
        ),
        Cue(5, False, TAKEN, re.compile(rf"{TAKEN}{{5}}[ ,、:;(\n]{{0,2}}({full}|{called}){over}")),
        Cue(
            5,
            False,
            TAKEN + HOME_TAKEN,
            re.compile(rf"[{TAKEN}{HOME_TAKEN}](?:的?户?业?主?)[ ,、:;(\n]{{0,2}}({full}|{called}|{forms.nick}|{latin}){over}(?![a-z])"),
        ),
        Cue(
            5,
            False,
            TAKEN + HOME_TAKEN,
            re.compile(rf"(?:^|\n)[ ]*({full}|{called}|{latin})[ ,、:;(\n]{{1,2}}(?=[{TAKEN}{HOME_TAKEN}])"),
        ),
        Cue(4, False, " \n,", re.compile(rf"[ \n。!?,]{alone}"), first=re.compile(alone)),
    )


@cache
def signature() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Patterns of a line that is a signature, of a name at the end of a line, and of any short word that may sign a text."""
    forms = Forms()
    called = rf"(?:{forms.called}|{forms.nick}|(?:{forms.double}|[{forms.single}])(?:{OFFICES})|[{_HAN}]家[{_HAN}]{{2}})"
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
