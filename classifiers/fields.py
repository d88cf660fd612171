"""Who and what: name, phone, e-mail, estate and unit out of a text of any register (预案 4.1). Values are returned as written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache, lru_cache

from classifiers.base import Query
from classifiers.cues import HOME_TAKEN, TAKEN, Forms
from classifiers.homes import find_estate
from classifiers.names import SURE, closes, find_name
from classifiers.segmenters import word_frequency
from classifiers.text import Clean, normalise
from classifiers.units import find_unit
from models.complaint import Customer

HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"

_EMAIL = re.compile(r"(?<![a-z0-9._%+\-])[a-z0-9][a-z0-9._%+\-]{0,63}@[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,4}")

# Digits as people write and speak them; 幺 is one on the phone, 洞 nought, 拐 seven.
_SPOKEN = ("0零〇○洞", "1一幺妖壹", "2二两贰", "3三叁", "4四肆", "5五伍", "6六陆", "7七拐柒", "8八捌", "9九玖")
_DIGIT = {char: digit for digit, chars in enumerate(_SPOKEN) for char in chars}
_ANY = "".join(_DIGIT)
_SPACE = r"[ \-.。·,、_/\n]{0,2}"
# Eleven digits, 13… to 19…, single parting characters between them; and none of the run may belong to something longer.
_MOBILE = re.compile(
    rf"(?<![{_ANY}])(?<!\d-)(?:\+?86{_SPACE})?([1一幺妖](?:{_SPACE}[3-9三四五六七八九])(?:{_SPACE}[{_ANY}]){{9}})(?![{_ANY}])"
)
# What every mobile holds, and every land line: patterns that begin with a set of characters are searched for many times faster.
_IN_MOBILE = re.compile(rf"[1一幺妖]{_SPACE}[3-9三四五六七八九](?:{_SPACE}[{_ANY}]){{9}}")
_IN_LANDLINE = re.compile(r"[2-9]\d{2,3}[ \-]?\d{4}")
_LANDLINE = re.compile(r"(?<![\d\-])(?:\(?0\d{2,3}\)?[ \-]?)[2-9]\d{2,3}[ \-]?\d{4}(?![\d])")
_LOCAL = re.compile(r"(?:电话|座机|固话|拨打|打)[是为: ]{0,2}([2-9]\d{2,3}[ \-]?\d{4})(?!\d)")
# Whose a number or an address is that stands in a text. Words of the clause before it and of what follows tell, in this order: he says that
# it is his; nobody answered there, or he or others were sent there; he asks to be reached there; it stands under a label; and at last the
# last word for a person.
_CLAUSE_END = re.compile(r"[,。!?;\n]")
_ROLE = (
    r"(?:销售|置业|顾问|物业|客服|[中仲]介|对方|贵司|贵公司|开发商|业务员|经理|主管|总监|店长|热线|管家|保安|前台|售楼处|师傅|被投诉人|被举报人)"
    r"(?:部|处|中心|公司|人员|大厅|小姐|员)?"
)
_WAY = r"(?:联系|个人|办公|工作|私人|投诉|服务|客服|常用)?(?:电话|手机|座机|号码|微信|邮箱|电邮|邮件|信箱|e-?mail|号|方式)"
_BE = r"[是为在: ]*"
# He says that it is his own.
_MINE = re.compile(
    rf"(?:我(?!打)|本人|自己)(?:家|这边)?的?(?:本人|新|老)?{_WAY}{{1,2}}(?:地址)?{_BE}$|(?:回|打|联系)我的?(?:电话|手机){_BE}$"
)
_PHONED = r"(?:联系(?!电话|方式|手机|人)|联络|致电|来电|去电|回电|回拨|拨打|拨|打|加|找)"
_WRITTEN = r"(?:联系(?!邮箱|方式|人)|[回答][复覆]|回信|[寄发写回](?:送|过|来|邮件|信|封信)?|抄送|email|e-mail)"
# Nothing but this may stand between the verb and the number or address: 打这个电话, 回复到.
_DOWN_TO = r"(?:[给到至往下一我本这个以电话手机号码微信箱邮件地址的上面: ]{0,10})$"
_ASKED = (
    r"(?:请|麻烦|希望|[尽赶加]快|尽早|赶紧|马上|立刻|立即|及时|务必|速|劳烦|拜托|望|盼|能不能|能否|可否|可以|要求|[让叫派催](?!我)|安排|需要|随时|直接"
    r"|你们|贵司|贵公司)[^,。!?;\n]{0,20}?"
)
# Who was sent there by others, or went there himself, says where he was and not where he is.
_SENT = (
    r"[让叫要喊](?:我|俺|业主)们?(?!的)[^,。!?;\n]{0,12}?"
    rf"|(?:^|(?<![跟和对向与同给我]))(?:{_ROLE}|他|她|你们|短信|语音|公告|通知|网上|合同上?|公众号|机器人)们?[^我,。!?;\n]{{0,5}}?(?:说|称|讲|提示|写[着的]|显示|公布)"
    r"[^找我,。!?;\n]{0,8}?"
    r"|(?<![给跟和与同向找叫回])我们?(?:[已就也又都再去曾刚先试按前昨今]|经|天|照|着|才|一直|多次|反复|后来|自己|把[^,。!?;\n]{1,8}){0,4}"
)
_CALLED = r"(?:了|过|通|的是|的|得){1,2}[^,。!?;\n]{0,4}$"
_SENT_PHONE = re.compile(
    rf"(?:{_SENT}){_PHONED}{_DOWN_TO}|我[^,。!?;\n请让叫]{{0,10}}{_PHONED}{_CALLED}|我[^,。!?;\n请让叫你]{{0,6}}打(?:电话)?给(?!我)[{HAN}]{{2,4}}$"
)
_SENT_EMAIL = re.compile(rf"(?:{_SENT}){_WRITTEN}{_DOWN_TO}|(?:我[^,。!?;\n请让叫]{{0,10}}|已经?){_WRITTEN}(?:{_CALLED}|到|给|往)")
# 请联系他 is said of whoever speaks for the family.
_ASKED_PHONE = re.compile(
    rf"{_ASKED}(?:{_PHONED}{_DOWN_TO}|(?:联系|打给|致电)[他她]{_BE}$)|(?:给我回|回我|给我来|给我打)(?:个|一个|下)?(?:电话)?{_BE}$"
)
_ASKED_EMAIL = re.compile(
    rf"{_ASKED}{_WRITTEN}{_DOWN_TO}"
    r"|(?:^|[,。!?;\n ]|发票|合同|结果|材料|资料|[回答][复覆]|方案|明细|清单|照片|函|请|都|统一|直接)(?:[发寄]|[回答][复覆])[到至给往]"
    rf"{_BE}$"
)
_FIND_ME = re.compile(r" ?(?:就?[可能以]{0,2}(?:找|联系)到?我|打给我|给我(?:回|打|来))")
_IS_MINE = re.compile(
    r" ?[,(]?(?:这?就?是)?(?:我(?:本人|自己)?的?(?:电话|手机|号码|号|邮箱)(?!打)|本人(?:电话|手机|邮箱)?(?:$|[,。!;\n)]))"
)
_NO_ANSWER = re.compile(
    r" ?(?:根本|一直|都|总是?|也|就|永远)*(?:没有?人[接回理管]|打不通|不通|无人接|不接|没[接回有用]|占线|关机|停机|空号|不回|退信|态度"
    r"|骂|骗|石沉大海|了[吗没]?(?=[,。!?;\n]|$)"
    r"|写?[三两几多四五]?[次遍](?:了|都|$))(?![^,。!?;\n]{0,4}(?:就|的话|时|请))"
)
_LABEL = re.compile(
    r"(?:联系(?:电话|方式|手机|号码)|手机号码?|(?:回电|回访)(?:电话|号码)"
    r"|(?:联系|电子|常用)?(?:邮箱|电邮|邮件|信箱|e-?mail)(?:地址)?)[是为: ]*$"
)
# Whose address it is, beyond that: where he is to be answered; or it stands under a label or alone on its line, as in a signature. Of whom
# he complains, and to whom he has written before, is named in the middle of a sentence.
_OWN_EMAIL = re.compile(
    r"(?:(?<![让叫要])(?:回复|回信|答复|联系|发给|寄给)(?:给)?我"
    r"|my e-?mail|(?:reply|write|get back) to me|(?:reach|contact|e-?mail) me)[^,。!?;\n@]{0,8}$"
)
_LABELLED_EMAIL = re.compile(
    r"(?:^|[\n,。;:()/| ])(?:联系|电子|常用)?(?:邮箱|电邮|邮件|信箱|e-?mail|联系方式)(?:地址)?[是为: ]{1,3}$|reply to[: ]{1,2}$"
)
_OTHERS_EMAIL = re.compile(
    r"(?:销售|顾问|经理|主管|总监|物业|客服|中介|他|她|对方|你们|贵司|公司|开发商|业务员|投诉(?!人)|被投诉人|举报|让我|叫我|要我)[^,。!?;]{0,10}$"
)
# What may stand beside an address in a signature: numbers and labels.
_BESIDE_EMAIL = re.compile(r"(?:电话|手机|联系(?:方式|电话)|电子|邮箱|电邮|邮件|tel|phone|mobile|e-?mail|[\d+() :|/,.;-])*")
# Whose phone it is: his own, or somebody else's. The last word of the clause counts: 我打他电话, and 他打我电话.
_WHOSE_PHONE = re.compile(
    r"(?P<his>您|我|本人|回电)"
    rf"|(?P<others>{_ROLE}|他|她|你们|显示|来电(?!号码|电话|人))"
)
_OWN = re.compile(r"(?:我的?|本人|联系|手机|回电|回我|打我|微信)[^,。!?;\n]{0,8}$")
_CORRECTED = re.compile(r"不对|错了|说错|打错|应该是|更正|改成|是这个|算了写")

# A name said by whoever takes the call, in his first words.
_OPENING = re.compile(
    rf"^\s*(?:客服|坐席|座席|话务员)\s*:\s*(?:[您你]好[呀啊]?|喂|您|欢迎(?:致电|您)?|这里是|这边是|[,。! ])*([{HAN}][{HAN}a-z]{{1,8}}?)"
    r"(?=的?(?:客服|客户|物业|售后|售楼|营销|销售|房修|维修|服务|管家|接待|前台|项目|按揭|工程|装修|商业|商铺|会所|品质|投诉|展示|管理|停车|交付|签约|权证|会员|"
    r"网络|招商|预约|精装|保修|案场|前期)|[,。!])"
)
_NO_OPENING = re.compile(
    r"[部室办组线机处]$|交付|车位|小时|四零零|会籍|咨询|大厅|尊[敬享]|先生|女士|社区|企业|安保|会员|合同|举报|来电|致电|运营|高层|公司|集团|地产|物业|客[服户诉]|热线|(?:服务|客户|营销|展示|接待|管理|呼叫|交易|销售)中心$|[投维售商]|请|您|我|工号|服务|招商|精装|置业|什么|回访|预约|权证|停车|收费|小区|前台|公寓$|小镇$"
)
_LATIN_NAME = re.compile(r"(?<![a-z])(?:[a-z][a-z']{1,14} ?){1,3}$")
_LATIN_WORD = re.compile(r"[a-z][a-z']+")
# A sender's name that is one of a Chinese person; what is none is not offered as a name (`connectors.display_names`).
_SENDER = re.compile(rf"[{HAN}]{{2,4}}")
# Who speaks, at the beginning of a line of a transcript.
_TURN = re.compile(r"^\s*[\u4e00-\u9fff]{2,3}\s*\d{0,2}\s*[：:]\s*")


class FieldFinder:
    """Finds the customer's fields; read-only after it is made.

    estates:   names of estates that are known, taken wherever they stand.
    frequency: how often jieba's dictionary counts a word; whoever is named like a common word must say that it is his name.
    """

    def __init__(self, estates: Collection[str] = (), frequency: Callable[[str], int] = word_frequency) -> None:
        self._estates = estate_names(sorted(estates))
        # The same few words are asked for again and again.
        self._frequency = lru_cache(maxsize=1 << 16)(frequency)

    def find(self, query: Query, said: Clean | None = None, title: Clean | None = None, *, guess: bool = False) -> Customer:
        """The fields of one query; what the customer said first, then the whole text. Only what was found is set; never raises.

        said, title: the normalised texts of the query, where the caller already has them.
        guess:       whether any word will do for a name that stands where one could (`names.find_name`).
        """
        said = said or normalise(query.said)
        customer = self._of(query.said, said, None, sender=query.sender, guess=guess)
        if query.title and not _has_home(customer):
            customer = customer.or_else(self._of(query.title, title or normalise(query.title), customer))
        if query.context and query.context != query.said and not (customer.name and _has_home(customer)):
            customer = self._with_context(customer, query)
        if query.own is not None:
            his = self.find(query.own)
            customer = replace(customer, name=his.name, phone=his.phone, email=his.email)
        return customer

    def _with_context(self, customer: Customer, query: Query) -> Customer:
        """What the whole text adds: home and phone from whoever says them, a name only where a call's turns show whose it is."""
        if not (customer.name and customer.estate):
            clean = normalise(query.context)
            named = None if customer.name else addressed_name(clean.text)
            called = None if customer.estate else called_estate(clean.text)
            name, estate = self._written(query.context, clean, named), self._written(query.context, clean, called)
            customer = customer.or_else(Customer(name=name, estate=estate))
        if _has_home(customer):
            return customer
        said = set(query.said.splitlines())
        lines = [line for line in query.context.splitlines() if line not in said and _TURN.sub("", line) not in said]
        rest = "\n".join(lines)
        return customer.or_else(self._of(rest, normalise(rest), customer))

    @staticmethod
    def _written(source: str, clean: Clean, span: tuple[int, int] | None) -> str | None:
        """What stands at a range of the normalised text, as the customer wrote it."""
        if span is None:
            return None
        start, end = clean.span(*span)
        return source[start:end].strip() or None

    def _of(self, source: str, clean: Clean, known: Customer | None, *, sender: str = "", guess: bool = False) -> Customer:
        """The fields of one text.

        known: what the customer himself said, which need not be looked for again; `None` where this is what he said. From what others wrote
        only the home and the ways to reach the customer are taken, for the names there are mostly theirs.
        sender: who sends it by its envelope; a Chinese name there is worth more than one that only its place in the text suggests.
        """
        text = clean.text
        # How to reach whoever else speaks is not how to reach the customer.
        emails = [match.span() for match in _EMAIL.finditer(text)] if "@" in text else []
        email = next((span for span in emails if _is_own_email(text, span)), None) if known is None else None
        phone, where = find_phone(text)
        # The way back to the original is kept by writing one character for one.
        for span in (*emails, *where):
            text = _taken(text, span)
        unit = find_unit(text) if known is None or not known.unit else None
        if unit:
            text = _taken(text, unit, HOME_TAKEN)

        def capital(place: int) -> bool:
            return source[clean.span(place, place + 1)[0]].isupper()

        # A name that is given as one is taken first, for some people are called like estates.
        name = find_name(text, self._frequency, least=SURE, capital=capital, guess=guess) if known is None else None
        if name:
            text = _taken(text, name.span)
        estate = find_estate(text, self._estates, self._frequency) if known is None or not known.estate else None
        if estate:
            # The Bay 云邸: what is written with capitals before it belongs to the name.
            latin = _LATIN_NAME.search(text, max(0, estate[0] - 24), estate[0])
            if latin and all(capital(word.start()) for word in _LATIN_WORD.finditer(text, *latin.span())):
                estate = latin.start(), estate[1]
            text = _taken(text, estate, HOME_TAKEN)
        if known is None and not name:
            # Where no estate was taken out of the text since, only what is less sure is still to be looked for.
            most = SURE if estate else SURE - 1
            name = find_name(text, self._frequency, most=most, capital=capital, signed=estate is not None, guess=guess)
        if name is not None and not name.stated and _SENDER.fullmatch(sender):
            name = None
        return Customer(
            name=self._written(source, clean, name.span if name else None),
            phone=phone,
            email=self._written(source, clean, email),
            estate=self._written(source, clean, estate),
            unit=self._written(source, clean, unit),
        )


def _has_home(customer: Customer) -> bool:
    return bool(customer.estate and customer.unit and customer.phone)


def estate_names(known: Collection[str]) -> re.Pattern[str] | None:
    """A pattern of the company's own estates, longest first, or `None` where none are known."""
    names = sorted({name.strip().lower() for name in known if name.strip()}, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, names))) if names else None


def _is_own_email(text: str, span: tuple[int, int]) -> bool:
    """Whether whoever writes gives an address as his own, and does not merely name it."""
    start, end = span
    before, after = text[max(0, start - 32) : start], text[end : end + 12]
    said = _said_whose(before, after, _SENT_EMAIL, _ASKED_EMAIL)
    if said is not None:
        return said
    if _OWN_EMAIL.search(before):
        return True
    if _OTHERS_EMAIL.search(before[-24:]):
        return False
    beside = text[:start].rpartition("\n")[2], text[end:].partition("\n")[0]
    return bool(_LABELLED_EMAIL.search(before)) or all(_BESIDE_EMAIL.fullmatch(part.strip()) for part in beside)


def _said_whose(before: str, after: str, sent: re.Pattern[str], asked: re.Pattern[str]) -> bool | None:
    """Whether the words around a number or an address say that it is the customer's (true) or another's; `None` where they say neither."""
    clause = _CLAUSE_END.split(before)[-1]
    if _MINE.search(clause) or _IS_MINE.match(after):
        return True
    if _NO_ANSWER.match(after):
        return False
    asks = asked.search(clause)
    if asks and _FIND_ME.match(after):
        return True
    if sent.search(clause):
        return False
    if asks:
        return True
    label = _LABEL.search(clause)
    if label and clause[: label.start()].strip(" :"):
        return not _role().search(clause[: label.start()])
    return None


@cache
def _role() -> re.Pattern[str]:
    """Somebody else's role or name at the end of a text, with whatever may be said of his phone: 销售经理王强, 他的, 物业客服电话."""
    surname = Forms().surname
    name = rf"(?:[小老阿]?{surname}[{HAN}]{{0,2}}|{surname}(?:先生|女士|小姐|师傅|经理|总|工|姐|哥))"
    return re.compile(
        rf"(?:(?:{_ROLE})+|(?:他|她|你)们?)(?:那边|这边|本人|自己|那个)?的?[叫是: ]*(?:{name})?"
        rf"[用的: ]*(?:{_WAY})?{_BE}$"
    )


@cache
def _signed() -> re.Pattern[str]:
    """How somebody signs with what he is: 马师傅, 王经理."""
    return re.compile(rf"{Forms().surname}(?:经理|总监|主管|店长|师傅) ?")


def find_phone(text: str) -> tuple[str | None, list[tuple[int, int]]]:
    """The customer's phone as digits, and where any phones stand in a normalised text. A mobile is preferred to a land line.

    One that is said to be somebody else's is not the customer's: whoever rings it would tell a stranger of the complaint.
    """
    best: tuple[float, str] | None = None
    spans: list[tuple[int, int]] = []
    last_end = 0
    for match in _MOBILE.finditer(text) if _IN_MOBILE.search(text) else ():
        spans.append(match.span())
        before = text[max(0, match.start() - 12) : match.start()]
        score = 1.0 + bool(_OWN.search(before))
        if best is not None and _CORRECTED.search(text[last_end : match.start()]):
            score = best[0] + 1
        if (best is None or score > best[0]) and not _is_others(text, *match.span(1)):
            best = (score, "".join(str(_DIGIT[char]) for char in match[1] if char in _DIGIT))
        last_end = match.end()
    for pattern, group in ((_LANDLINE, 0), (_LOCAL, 1)) if _IN_LANDLINE.search(text) else ():
        for match in pattern.finditer(text):
            if any(start < match.end(group) and match.start(group) < end for start, end in spans):
                continue
            spans.append(match.span(group))
            if best is None and not _is_others(text, *match.span(group)):
                best = (0.0, "".join(char for char in match[group] if char.isdigit()))
    return (None if best is None else best[1]), spans


def _is_others(text: str, start: int, end: int) -> bool:
    """Whether the words around a phone say that it is somebody else's."""
    before = text[max(0, start - 32) : start]
    said = _said_whose(before, text[end : end + 12], _SENT_PHONE, _ASKED_PHONE)
    if said is not None:
        return not said
    # A blank ends what was said before it, unless that is the name of who is meant: 物业经理 139….
    clause = _CLAUSE_END.split(before)[-1]
    if _signed().fullmatch(clause):
        return False
    _, blank, rest = clause.rpartition(" ")
    words = list(_WHOSE_PHONE.finditer(rest))
    if words:
        return words[-1].lastgroup == "others"
    return bool(blank) and bool(_role().search(clause))


def _taken(text: str, span: tuple[int, int], sign: str = TAKEN) -> str:
    start, end = span
    return text[:start] + sign * (end - start) + text[end:]


def called_estate(text: str) -> tuple[int, int] | None:
    """Where in a normalised call the one who takes it names the estate in his first words, or `None`."""
    match = _OPENING.match(text)
    return match.span(1) if match and not _NO_OPENING.search(match[1]) else None


def addressed_name(text: str) -> tuple[int, int] | None:
    """Where in a normalised call with turns the customer answers who he is, or is addressed by name; `None` where neither."""
    answered, addressed = _turns()
    if "姓" in text or "称呼" in text or "名" in text or "哪位" in text or "您是" in text:
        for match in answered.finditer(text):
            start, end = match.span(1)
            if not closes(match[1]):
                return start, end
    for match in addressed.finditer(text):
        return match.span(1)
    return None


@cache
def _turns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    forms = Forms()
    agent, customer = "(?:客服|坐席|座席|话务员)", "(?:客户|业主|用户|来电人)"
    # No alternative of the repeated group may begin another or be put together from others: backtracking would take 2^n steps.
    answered = re.compile(
        rf"{agent}:[^\n]*(?:贵姓|姓名|怎么称呼|称呼您|哪位|名字|您是)[^\n]*\n{customer}:(?:[哦嗯啊喂,。 我姓叫]|你好|您好|我是|免贵)*"
        rf"({forms.full}|{forms.called}|{forms.surname})(?=[,。!? \n]|$)"
    )
    polite = "(?:先生|女士|小姐|太太|师傅|大姐|大哥|大爷|大妈|阿姨|老师|叔叔|姐|哥|总)"
    addressed = re.compile(
        rf"{agent}:[^\n]{{0,16}}?(?<![{HAN}])(?:好的|请问是|请问您是|您好|那|哦|是|喂)?,?((?:{forms.double}|[{forms.single}]){polite})(?![{HAN}](?<![您你请稍我吗是家]))"
    )
    return answered, addressed
