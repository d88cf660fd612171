"""Links in a customer's words, which we do not repeat to others.

A subject comes back to whoever stands in From, and anybody can be put there: nobody advertises through us. Mail programs make a link of
whatever looks like one, with a scheme or without.
"""

from __future__ import annotations

import re

# Full-width letters and dots open the same page; one character stands for one, so that places stay.
_WIDE = (
    "０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ．／＃＠－"
)
_NARROW = {ord(wide): ord(wide) - 0xFEE0 for wide in _WIDE} | {ord("。"): ord("."), ord("｡"): ord(".")}

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The ends of names that are passed around most, and those in Chinese. Behind any other end a name is a link where a path follows it, so
# that 6.5米, No.3, v2.1 and a full stop without a space behind it stay what they are.
_ENDS = (
    "com|net|org|edu|gov|info|biz|name|mobi|asia|cn|cc|tv|io|co|hk|tw|mo|sg|jp|kr|uk|eu|de|fr|ru|vn|my|ph|th|ly|gl|gd|gy|im|la|ws|pw|tk|ml"
    "|ga|cf|gq|ai|su|top|xyz|vip|app|dev|shop|store|site|online|website|space|club|link|live|pro|wang|ltd|group|ink|fun|icu|work|win|bid|loan|click|help"
    "|life|world|today|cloud|tech|art|red|ren|plus|cam|rest|buzz|cyou|sbs|monster|quest|zip|mov"
)
_HAN_ENDS = "中国|中國|公司|网络|網絡|网址|网店|在线|中文网|商城|集团|我爱你|手机|移动|购物|企业|信息"
_REST = r"[^\s，、；）】》<>\"]*"
_LINK = re.compile(
    rf"[a-z][a-z0-9+.-]{{1,19}}://{_REST}"
    rf"|(?<![a-z0-9.-])(?:mailto:)?[a-z0-9._%+-]{{1,64}}@(?:{_LABEL}\.)+[a-z]{{2,24}}"
    rf"|(?<![a-z0-9@.-])www\.{_REST}"
    rf"|(?<![a-z0-9@.-])(?:{_LABEL}\.)+(?:(?:{_ENDS})(?![a-z0-9-])(?:\.(?![a-z0-9])|[:/?#]{_REST})?|[a-z][a-z0-9-]{{0,22}}[a-z][:/?#][a-z0-9%#?&=_./-]+)"
    rf"|(?<![\d.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d{{1,5}}|/){_REST}"
    rf"|[a-z0-9\u4e00-\u9fff-]{{1,40}}\.(?:{_HAN_ENDS})(?:/{_REST}|(?![a-z0-9\u4e00-\u9fff]))",
    re.IGNORECASE,
)


def without_links(text: str) -> str:
    """The text of one line with … for each link and mail address."""
    places = [match.span() for match in _LINK.finditer(text.translate(_NARROW))]
    for start, end in reversed(places):
        text = f"{text[:start]}…{text[end:]}"
    return " ".join(text.split())
