"""Whether what a customer writes begins the next round of his complaint (预案 4.4: 不满意的，记录意见，二次处理)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from gateway.store.complaints import ComplaintRow, MessageRow
from models.complaint import ComplaintState

# In these a round has come to its end.
ENDED = frozenset({ComplaintState.RESOLVED, ComplaintState.REJECTED, ComplaintState.CLOSED})

# Words of somebody who is content or merely polite; a message made of nothing else asks for nothing. None of them is made of others: what
# can be read in several ways would be tried in all of them, which for 谢谢谢谢… and then another word takes longer than anybody lives.
_CONTENT = (
    "非常|十分|感谢|多谢|谢|辛苦|麻烦|你们|您们|大家|您|你|了|啦|哈|哦|呢|的|啊|吧|很|挺|都|我|这边|问题|事情"
    "|好|行|嗯|收到|知道|明白|已经|已|解决|处理完|处理好|修好|弄好|搞定|没问题|没事|满意|可以|再见"
    "|thank|thanks|you|very|much|a|lot|many|ok|okay|got|it|great|fine|good|solved|resolved|all|is|now|bye"
)
_ONLY_CONTENT = re.compile(rf"(?:{_CONTENT}|[\W\d_])*", re.IGNORECASE)
# What turns such words round: 没解决, 不满意, not solved.
_TURNED = re.compile(r"不|没(?!问题|事)|未|别|吗|么|[?？]", re.IGNORECASE)
# 解决问题！ asks for it; 解决了, 已解决, 问题解决 say that it is done.
_DEMANDED = re.compile(r"(?<!已)(?<!已经)(?<!问题)(?<!都)解决(?![了啦好])")
# One of these stands in whatever is a word of thanks; 问题, 很麻烦 or 你们 alone are none.
_GLAD = re.compile(
    "谢|辛苦|麻烦[你您]们?[了啦]|好|行|嗯|哈|收到|知道|明白|解决|处理完|搞定|没问题|没事|满意|可以|再见"
    "|thank|ok|got it|great|fine|good|solved|bye",
    re.IGNORECASE,
)
_MOST_CONTENT_CHARS = 60


def asks_for_nothing(said: str) -> bool:
    """Whether somebody only thanks, or says that it is well.

    >>> asks_for_nothing("好的，谢谢你们！"), asks_for_nothing("问题没解决"), asks_for_nothing("谢谢，但是又漏水了")
    (True, False, False)
    """
    words = said.strip()
    if len(words) > _MOST_CONTENT_CHARS or _TURNED.search(words) or _DEMANDED.search(words):
        return False
    # Signs and figures alone say nothing.
    glad = _GLAD.search(words) or not any(one.isalpha() for one in words)
    return bool(glad) and _ONLY_CONTENT.fullmatch(words) is not None


def reopens(complaint: ComplaintRow, new: Sequence[MessageRow], ended: datetime | None) -> MessageRow | None:
    """The first of the new messages that begins the next round; None where the round that is on goes on, or its end stands.

    ended: when it was last said that the round is over; what was written before then is no answer to it.
    """
    if complaint.state not in ENDED:
        return None
    return next((message for message in new if _objects(message) and (ended is None or message.received_at >= ended)), None)


def _objects(message: MessageRow) -> bool:
    """Whether a person says more than thanks. A file or a call without words does; what steers a chat or answers its questions does not."""
    if message.machine or message.details.get("steers") or message.details.get("answers"):
        return False
    nothing_said = not message.said.strip()
    return not asks_for_nothing(message.said) or (nothing_said and ("call" in message.details or bool(message.parsed.get("attachments"))))
