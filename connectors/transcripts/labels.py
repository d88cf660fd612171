"""What a speaker's name or role says of who he is: customer or agent; names only, never the words he spoke."""

from __future__ import annotations

import re

from models.complaint import Speaker

# Looked for first, because 客户经理 and 客户服务 contain the word for a customer.
AGENT_NAMES = (
    "客户经理|客户服务|客户代表|客户关系|客服|坐席|座席|话务员|话务|接线员|接线|接待员|接待|工作人员|服务人员|置业顾问|"
    "销售|物业|管家|案场|专员|员工|主管|工号|被叫|机器人|语音助手|智能助手|系统语音|前台"
)
CUSTOMER_NAMES = "客户|顾客|用户|业主|来电人|来电者|致电人|主叫|投诉人|投诉者|反映人|访客|住户|租户|买受人|买方|购房者|购房人|家属"
AGENT_ENGLISH = "agent|operator|representative|rep|staff|csr|seat|assistant|bot|ivr|callee|employee|advisor|adviser|support"
CUSTOMER_ENGLISH = "customer|caller|client|user|guest|visitor|owner|resident|buyer|consumer|complainant"

_AGENT = re.compile(AGENT_NAMES)
_CUSTOMER = re.compile(CUSTOMER_NAMES)
_AGENT_ENGLISH = re.compile(rf"\b(?:{AGENT_ENGLISH})\b")
_CUSTOMER_ENGLISH = re.compile(rf"\b(?:{CUSTOMER_ENGLISH})\b")
_NOT_LETTERS = re.compile(r"[\d_\-./()\[\]]+")
# Nobody calls a colleague 王女士 in a list of speakers, but it is no proof.
_POLITE_NAME = re.compile(r".{1,3}(?:先生|女士|小姐|太太|阿姨|大姐|大爷|大叔)")

# What the names of numbered and lettered speakers look like; they separate speakers and say nothing else.
GENERIC_NAME = (
    r"(?:说话人|发言人|讲话人|讲话者|说话者|角色|声道|通道|人物|未知)\s*(?!\d{1,2}:\d\d)[0-9A-Za-z一二三四]{0,3}|[左右]声道|"
    r"(?i:speaker|spk|channel|ch|unknown)[ _-]?(?!\d{1,2}:\d\d)[0-9A-Za-z]{0,3}|[A-FQa-fq]|[ＡＢ甲乙丙问答]"
)


def role_of(name: str | None) -> Speaker | None:
    """The role that a name such as `客服01`, `AGENT`, `业主` or `customer_2` states, or None where it states none.

    name: a speaker's or a party's name, or a role as a vendor writes it.
    """
    if not name:
        return None
    if _AGENT.search(name):
        return Speaker.AGENT
    if _CUSTOMER.search(name):
        return Speaker.CUSTOMER
    english = _NOT_LETTERS.sub(" ", name[:80]).lower()
    if _AGENT_ENGLISH.search(english):
        return Speaker.AGENT
    if _CUSTOMER_ENGLISH.search(english):
        return Speaker.CUSTOMER
    return None


def leaning_of(name: str | None) -> Speaker | None:
    """The role that a name makes likely without stating it: `王女士` is likelier a customer."""
    if name and _POLITE_NAME.fullmatch(name):
        return Speaker.CUSTOMER
    return None
