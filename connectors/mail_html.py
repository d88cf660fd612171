"""HTML of a mail to plain text, for reading and sorting; nothing is fetched, nothing is executed, nothing hidden is shown.

Purpose: the words of a customer whose mailer sends HTML only. Tables are read cell by cell in the order of the source, because mailers use
them for layout; a cited block gets `> ` before its lines, so that quoted history can be told from the customer's own words.

Why not a layout engine: it pads columns (a table of 138 kB became 200 MB of blanks), puts the lines of neighbouring cells beside one
another, calls itself for each level, and the tree builder below it gives nothing back for HTML nested a thousand deep. This is one pass
over the tokens, without recursion; its time grows with the length alone.
"""

from __future__ import annotations

import re
from html import unescape

from connectors.charsets import clean_text
from connectors.mail_defects import Budget

_TOKEN = re.compile(
    r"([^<]++)"  # 1: text
    r"|<!--(?:.*?)(?:-->|\Z)"
    r"|<[!?][^>]*+(?:>|\Z)"
    # 2: slash, 3: name, 4: attributes
    r"|<(/?)([a-zA-Z][a-zA-Z0-9:_-]{0,40})((?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\"'<>])*+)(?:>|\Z)"
    r"|<",
    re.DOTALL,
)

# Elements whose content is no text for people. The value finds their end; content between is not looked at.
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in (
        *("script", "style", "title", "template", "object", "svg", "math"),
        *("noembed", "noframes", "iframe", "select", "textarea", "xml"),
    )
}
_RAW_START = re.compile(r"<(!--|(?:script|style|title)(?=[\s/>]))", re.IGNORECASE)
_RAW_END = {
    "!--": re.compile("-->"),
    "script": re.compile(r"</script[^<>]*>", re.IGNORECASE),
    "style": re.compile(r"</style[^<>]*>", re.IGNORECASE),
    "title": re.compile(r"</title[^<>]*>", re.IGNORECASE),
}
# fmt: off
_LINE = frozenset((
    "div", "tr", "table", "tbody", "thead", "tfoot", "section", "article", "header", "footer", "nav", "aside", "main", "address",
    "center", "form", "fieldset", "dl", "dt", "dd", "hr", "ul", "ol", "li", "body", "html", "caption", "figure", "figcaption",
    "blockquote", "pre", "o:p", "option",
))
_PARAGRAPH = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6"))
_VOID = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
))
# fmt: on

_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden", re.IGNORECASE)
_NO_SIZE = re.compile(r"font-size\s*:\s*(?:0+(?:\.0*)?|\.0+)\s*(?:[a-z]{2,3}|%)?\s*(?:[;!\"']|$)", re.IGNORECASE)
_SIZE = re.compile(r"font-size\s*:|<font[^>]*size", re.IGNORECASE)
_HIDDEN_FLAG = re.compile(r"(?:^|\s)hidden(?=[\s=/]|$)", re.IGNORECASE)
_VALUE = re.compile(r"\"[^\"]*\"?|'[^']*'?")
_STRUCK = re.compile(r"text-decoration(?:-line)?\s*:[^;\"']*line-through", re.IGNORECASE)
_STRIKES = frozenset(("s", "strike", "del"))
_CITED = re.compile(r"type\s*=\s*[\"']?cite|gmail_quote|isReplyContent|class\s*=\s*[\"'][^\"']*quote|border-left", re.IGNORECASE)
_TIGHT = re.compile(r"MsoNormal|margin\s*:\s*0|margin-(?:top|bottom)\s*:\s*0", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
# Python refuses to read a number of more than 4,300 digits; none of more than seven is a character.
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
_TAG = re.compile(r"<[^<>]*>?")
_BLANK_LINES = re.compile(r"\n{3,}")
_BLANKS = re.compile(r"[ \t\xa0]*+\n[ \t\xa0\n]*|[ \t\xa0]{2,}")

# What a picture is called that says something to who cannot see it; not its file's name, its kind, or what a program guesses.
_ALT = re.compile(r"(?:^|\s)alt\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
_ALT_OF_NOBODY = re.compile(
    r"\S*\.[a-z0-9]{2,5}|(?:cid|https?|data):.*|[\w-]*\d{4,}[\w-]*"
    r"|.*(?:自动生成|自動產生|已生成|automatically generated|description generated).*"
    r"|(?:(?:inline|embedded|attached|插入的?|内嵌|粘贴的?|无)?\s*(?:image|img|photo|picture|pic|logo|icon|spacer|pixel|tracking|track|open"
    r"|banner|avatar"
    r"|blank|signature|图片|圖片|图像|照片|相片|截图|图标|头像|签名|徽标|二维码|描述)[\s_-]*(?:\d{0,3}|pixel|gif|image)?)",
    re.IGNORECASE | re.DOTALL,
)
_NO_PICTURE = re.compile(r"(?:width|height)\s*[=:]\s*[\"']?\s*[01](?:px)?\s*(?:[\"';\s]|$)", re.IGNORECASE)
_LONGEST_ALT = 200

# Name cards that mailers put under a letter; what stands in them is no part of it.
_CARD = re.compile(r"J-replace-signature|NeteaseCard|xmail_default_signature|gmail_signature[\"' ]", re.IGNORECASE)
# The rule that Foxmail draws above its own.
_CARD_RULE = re.compile(r"width:\s*210px|#b5c4df", re.IGNORECASE)

# Beyond this many characters the tags are simply removed: such HTML is generated, and its layout means nothing.
_LONGEST = 1_000_000
_MOST = 8_000_000
_DEEPEST = 200


def html_text(html: str, budget: Budget, defects: set[str]) -> str:
    """The readable text of `html`: one line per block, blank lines between paragraphs, cited blocks marked with `> `.

    defects: gets `html_simplified` when the markup is too long or too broken and its tags are simply removed.
    Errors:  `Unreadable` (`mail_too_slow`) when the time is used up.
    """
    if len(html) <= _LONGEST:
        text = _Page().read(html, budget)
        if text or not _has_text(html):
            return text
    defects.add("html_simplified")
    if len(html) > _MOST:
        defects.add("text_cut")
        html = html[:_MOST]
    budget.check_time()
    return clean_text(_BLANK_LINES.sub("\n\n", _BLANKS.sub(" ", _entities(_TAG.sub(" ", without_raw(html)))))).strip()


def _entities(text: str) -> str:
    return unescape(_HUGE_REFERENCE.sub("\ufffd", text)) if "&" in text else text


def without_raw(html: str) -> str:
    """`html` without its comments, scripts, styles and titles, as far as they are closed."""
    out: list[str] = []
    at = 0
    unclosed: set[str] = set()
    for start in _RAW_START.finditer(html):
        name = start[1].lower()
        if start.start() < at or name in unclosed:
            continue
        end = _RAW_END[name].search(html, start.end())
        if end is None:
            unclosed.add(name)
            continue
        out.append(html[at : start.start()])
        at = end.end()
    out.append(html[at:])
    return "".join(out)


def _has_text(html: str) -> bool:
    return bool(_entities(_TAG.sub("", without_raw(html))).strip())


class _Page:
    """The lines made so far, and the elements that change how text is read."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._space = False
        self._gap = False
        # The open elements that matter: name, what they do (hidden, cited, pre), how many of the same name are open within.
        self._open: list[tuple[str, str, int]] = []
        self._hidden = 0
        self._cited = 0
        self._pre = 0
        # Words in no size cannot be read, until an element within gives them one again.
        self._sizes: list[bool] = []
        # Struck-out words are marked; the mark waits for the first of them.
        self._struck = 0
        self._marked = False
        self._tight = False
        # Whether the line under way is a no-break space so far: how mailers write an empty line.
        self._held = False
        self._unclosed: set[str] = set()

    def read(self, html: str, budget: Budget) -> str:
        at = 0
        tokens = 0
        match = _TOKEN.match
        while token := match(html, at):
            at = token.end()
            tokens += 1
            if tokens % 5000 == 0:
                budget.check_time()
            text = token[1]
            if text is not None:
                if not self._unseen:
                    self._write(text)
            elif token[3] is not None:
                name = token[3].lower()
                if token[2]:
                    self._end(name)
                elif name in _RAW and name not in self._unclosed:
                    end = _RAW[name].search(html, at)
                    if end:
                        at = end.start()
                    elif name in ("script", "style"):
                        at = len(html)
                    else:
                        self._unclosed.add(name)
                else:
                    self._start(name, token[4])
            elif token.group() == "<" and not self._unseen:
                self._write("<")
        self._break()
        text = "\n".join(self._lines)
        return clean_text(_BLANK_LINES.sub("\n\n", text)).strip("\n ")

    def _start(self, name: str, attributes: str) -> None:
        if name == "br":
            if not self._hidden:
                self._flush()
            return
        if name in _PARAGRAPH:
            self._break()
            self._tight = bool(attributes) and bool(_TIGHT.search(attributes))
            self._gap = self._gap or not self._tight
        elif name in _LINE:
            self._break()
            if name == "li" and not self._hidden:
                self._add("- ")
            elif name == "hr" and not self._hidden and _CARD_RULE.search(attributes):
                self._sign()
        elif name in ("td", "th"):
            self._space = True
        if name == "img" and not self._unseen:
            self._picture(attributes)
        if name in _VOID or attributes.endswith("/"):
            return
        if attributes and not self._hidden and _CARD.search(attributes):
            self._sign()
        effect = ""
        if attributes and (_HIDDEN.search(attributes) or _HIDDEN_FLAG.search(_VALUE.sub("", attributes))):
            effect = "hidden"
        elif attributes and _NO_SIZE.search(attributes):
            effect = "sizeless"
        elif self._sizes and attributes and _SIZE.search(attributes):
            effect = "sized"
        elif name in _STRIKES or (attributes and _STRUCK.search(attributes)):
            effect = "struck"
        elif name == "pre":
            effect = "pre"
        elif name == "blockquote" and _CITED.search(attributes):
            effect = "cited"
        if effect and len(self._open) < _DEEPEST:
            self._open.append((name, effect, 0))
            self._count(effect, 1)
        elif self._open and self._open[-1][0] == name:
            top, kept, within = self._open[-1]
            self._open[-1] = (top, kept, within + 1)

    def _end(self, name: str) -> None:
        if name in _PARAGRAPH:
            self._break()
            self._gap = self._gap or not self._tight
        elif name in _LINE:
            self._break()
        elif name in ("td", "th"):
            self._space = True
        if not self._open:
            return
        top, effect, within = self._open[-1]
        if name == top and within:
            self._open[-1] = (top, effect, within - 1)
            return
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place][0] == name:
                for _, ended, _ in self._open[place:]:
                    self._count(ended, -1)
                del self._open[place:]
                return

    def _sign(self) -> None:
        """The mark of a signature (RFC 3676 4.3), unless the mailer has set it already."""
        self._break()
        last = next((line for line in reversed(self._lines) if line.strip("> ")), "")
        if last and not self._cited and last != "--":
            self._add("-- ")
            self._break()

    def _count(self, effect: str, change: int) -> None:
        if effect == "hidden":
            self._hidden += change
        elif effect == "cited":
            self._break()
            self._cited += change
        elif effect in ("sizeless", "sized"):
            if change > 0:
                self._sizes.append(effect == "sizeless")
            else:
                self._sizes.pop()
        elif effect == "struck":
            self._struck += change
            if self._marked and not self._struck:
                self._line.append("]")
                self._marked = False
        else:
            self._pre += change

    @property
    def _unseen(self) -> bool:
        return bool(self._hidden or (self._sizes and self._sizes[-1]))

    def _picture(self, attributes: str) -> None:
        """What a picture's maker says of it, where he does."""
        found = _ALT.search(attributes)
        says = " ".join(_entities(found[1] or found[2] or found[3] or "").split())[:_LONGEST_ALT] if found else ""
        if not says or _NO_PICTURE.search(attributes) or _ALT_OF_NOBODY.fullmatch(says.strip("[]【】")):
            return
        # A face is said as it is.
        self._add(says if says[0] == "[" or not any(one.isalnum() for one in says) else f"[图片：{says}]")

    def _write(self, text: str) -> None:
        text = _entities(text)
        if self._pre:
            first, *rest = text.replace("\r\n", "\n").split("\n")
            self._add(first)
            for more in rest:
                self._flush()
                self._add(more)
            return
        words = _SPACES.sub(" ", text)
        if words in ("", " "):
            self._space = self._space or words == " "
            self._held = self._held or "\xa0" in text
            return
        if words[0] == " ":
            self._space = True
            words = words[1:]
        self._add(words.rstrip(" "))
        self._space = words[-1] == " "

    def _add(self, text: str) -> None:
        if not text:
            return
        if self._space and self._line and self._line[-1] != "- ":
            self._line.append(" ")
        self._space = False
        if self._gap and not self._line:
            self._gap = False
            if self._lines and self._lines[-1]:
                self._lines.append("")
        if self._struck and not self._marked:
            self._marked = True
            text = f"[删除线：{text}"
        self._line.append(text)

    def _break(self) -> None:
        """End the line, if there is one; a no-break space alone is one."""
        if self._line or (self._held and not self._hidden):
            self._flush()
        self._space = False

    def _flush(self) -> None:
        """End the line, even an empty one."""
        line = "".join(self._line).rstrip() + ("]" if self._marked else "")
        self._marked = False
        self._line.clear()
        self._space = self._held = False
        if self._cited:
            line = ("> " * min(self._cited, 9) + line).rstrip()
        self._lines.append(line)
