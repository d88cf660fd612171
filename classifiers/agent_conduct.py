"""How an agent spoke: cues in his own turns that bear out a complaint about service. Evidence for people, never a verdict.

Only what an agent said counts, so that a customer's anger is never held against him; the class is decided by the customer's words alone.
"""

# A row of the table is one line, however long.
# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# A cue, and what it is. Each is a phrase that no agent has a good reason to say to a customer.
CUES: tuple[tuple[str, str, str], ...] = (
    # Sends the customer away.
    ("brush_off", r"(?:不|不是)(?:归|该|由)我们?(?:管|负责)|跟我(?:们)?(?:没关系|无关)|我(?:也)?(?:管不了|管不着|没办法管)|别(?:来)?(?:找|问)我", "推脱"),
    ("brush_off", r"(?:爱|你爱)(?:找谁|告|投诉|去哪|咋|怎么)|(?:那)?你(?:就)?去(?:投诉|告|起诉|曝光|法院)(?:好了|呗|啊|吧)|随(?:你|便你)(?:便|去|怎么)", "推脱"),
    # Is impatient.
    ("impatient", r"(?:催什么|急什么|吵什么|喊什么|嚷什么|闹什么)(?:催|急|吵|喊|嚷|闹)?|又怎么了|有完没完|烦不烦|烦死|没完没了|说(?:了)?(?:多少|几)遍", "不耐烦"),
    ("impatient", r"我(?:现在)?(?:没空|没时间|没工夫|懒得)(?:跟|和|理|听|管)你|快(?:点|些)说(?:行不行|好不好)", "不耐烦"),
    # Insults or mocks.
    ("insult", r"你(?:有病|脑子|神经|傻|蠢|算什么|算老几|配|懂什么|懂个)|(?:神经病|傻子|白痴|滚(?!动|轮|筒|落|滚|烫)|闭嘴|刁民|穷鬼|乡巴佬|泼妇|碰瓷)", "辱骂嘲讽"),
    ("insult", r"(?:买不起|没钱)(?:就)?(?:别|不要)(?:买|来)|(?:这么|那么)(?:便宜|点钱)(?:还想|你还)", "辱骂嘲讽"),
    # Threatens, or hangs up.
    ("threat", r"(?:再|你再)(?:闹|打|这样).{0,6}(?:报警|拉黑|不客气|后果|给你好看)|(?:你)?(?:等着瞧|走着瞧)|(?:我)?(?:拉黑|屏蔽)你", "威胁"),
    ("hangs_up", r"(?:不想?|懒得)跟你(?:说|讲|废话)", "挂断"),
)  # fmt: skip
_CUES = tuple((code, re.compile(pattern), zh) for code, pattern, zh in CUES)
# Enough to see what kind of call it was.
_MOST, _QUOTED_CHARS = 10, 60


@dataclass(frozen=True, slots=True)
class Conduct:
    """One turn of the agent's that a cue stands in. `turn`: its place in its transcript, from 0; `start`: seconds into the call."""

    code: str
    zh: str
    cue: str
    text: str
    turn: int
    start: float | None


def conduct_of(turns: Iterable[Mapping[str, Any]]) -> list[Conduct]:
    """The cues in the agent's turns of one transcript, as it is kept (`role`, `text`, `start`), one a turn, in their order."""
    found: list[Conduct] = []
    for place, turn in enumerate(turns):
        if len(found) >= _MOST or turn.get("role") != "agent":
            continue
        text = str(turn.get("text", ""))[:2000]
        hit = next(((code, match, zh) for code, pattern, zh in _CUES if (match := pattern.search(text))), None)
        if hit is not None:
            code, match, zh = hit
            begin = max(0, match.start() - 20)
            found.append(Conduct(code, zh, match[0], text[begin : begin + _QUOTED_CHARS], place, turn.get("start")))
    return found
