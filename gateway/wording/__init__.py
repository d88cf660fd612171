"""The words of answers to customers: templates that ship, and the company's own in `templates/` of the home.

A template is plain text. Its first line is the subject, what follows the body. `$number` and the like are filled in; nothing else
happens: there are no conditions, no loops and no code. A line in which an optional value is empty is left out.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from models.errors import BadSetting

# What each template is for; the file is called NAME.LANGUAGE.txt.
TEMPLATES: Mapping[str, str] = {
    "acknowledgement": "to a mail that was routed at once",
    "acknowledgement_review": "to a mail that a person looks at first",
    "accepted": "the department has taken the complaint up",
    "in_progress": "it is being worked on",
    "need_info": "the customer is asked for something",
    "resolved": "it has been dealt with",
    "rejected": "it is not granted",
    "staff": "around what a member of staff writes",
}
LANGUAGES = ("zh", "zh-hant", "en")
# What may stand in a template, and what is filled in.
PLACEHOLDERS: Mapping[str, str] = {
    "number": "the complaint's number",
    "title": "what the complaint is called",
    "name": "the customer's name; where it is not known nothing, in English `customer`",
    "department": "the department's name",
    "due": "by when he is answered",
    "text": "what he is told; a reply to him",
    "company": "`mail.company`",
    "phone": "`mail.phone`",
}
# Where one of these is empty, its line is left out.
_OPTIONAL = frozenset({"phone", "text", "due"})
_ACKNOWLEDGEMENTS = ("acknowledgement", "acknowledgement_review")
_MOST_CHARS = 20_000
_MOST_SUBJECT = 120


class _Template(string.Template):
    flags = re.ASCII
    idpattern = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class Worded:
    """An answer in words: one line, and plain text."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Wording:
    """Every template, by name and language; `own` are the company's files that are in use."""

    texts: Mapping[tuple[str, str], str]
    own: tuple[str, ...] = ()

    def write(self, name: str, language: str, values: Mapping[str, str]) -> Worded:
        """A template filled in. `values` has all of `PLACEHOLDERS`; what a value holds is never looked at for placeholders."""
        subject, _, body = self.texts[name, language].partition("\n")
        kept = [line for line in body.split("\n") if not any(not values[key] for key in _identifiers(line) if key in _OPTIONAL)]
        filled = _filled("\n".join(kept), values)
        return Worded(
            " ".join(_filled(subject, values).split())[:_MOST_SUBJECT].strip(" ：:"),
            re.sub(r"\n{3,}", "\n\n", filled).strip() + "\n",
        )

    def subject_of(self, title: str) -> str:
        """What `title` is about, without the subjects of acknowledgements that it begins with: who forwards ours repeats it."""
        frames = [self.texts[name, language].partition("\n")[0].partition("$title") for name in _ACKNOWLEDGEMENTS for language in LANGUAGES]
        begun = [(before.strip(), after.strip()) for before, placeholder, after in frames if placeholder and before.strip()]
        while found := next(((before, after) for before, after in begun if title.startswith(before) and title != before), None):
            rest = title.removeprefix(found[0]).removesuffix(found[1]).strip()
            if not rest:
                break
            title = rest
        return title


def _identifiers(line: str) -> list[str]:
    return _Template(line).get_identifiers()


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _Template(text).substitute(values)


def shipped() -> dict[tuple[str, str], str]:
    """The templates that ship, by name and language."""
    folder = resources.files("gateway.wording")
    return {(name, language): folder.joinpath(f"{name}.{language}.txt").read_text("utf-8") for name in TEMPLATES for language in LANGUAGES}


def load(home: Path) -> Wording:
    """The templates that ship, each replaced by the company's own where there is one. Raises `BadSetting`: file, line, remedy."""
    texts = shipped()
    known = {f"{name}.{language}.txt": (name, language) for name, language in texts}
    folder, own = home / "templates", []
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    except OSError as error:
        raise _wrong(folder, 0, f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})") from None
    for path in found:
        if path.name not in known:
            names = "、".join(TEMPLATES)
            raise _wrong(
                path,
                0,
                f"没有这个模板；文件名应为 名称.语言.txt，名称为 {names} 之一，语言为 zh、zh-hant、en 之一",
                f"there is no such template; call it NAME.LANGUAGE.txt, NAME one of {', '.join(TEMPLATES)}, LANGUAGE zh, zh-hant or en",
            )
        texts[known[path.name]] = _read(path)
        own.append(path.name)
    return Wording(texts, tuple(own))


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _wrong(path, 0, "不是 UTF-8 文本，请另存为 UTF-8", "is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise _wrong(path, 0, f"读不了（{error.strerror}）", f"cannot be read ({error.strerror})") from None
    if len(text) > _MOST_CHARS:
        raise _wrong(path, 0, f"太长，最多 {_MOST_CHARS} 字", f"is too long; {_MOST_CHARS} characters at most")
    subject, _, body = text.partition("\n")
    if not subject.strip() or not body.strip():
        raise _wrong(
            path, 1, "第一行是主题，其后是正文，都不能为空", "the first line is the subject and the body follows; neither may be empty"
        )
    for number, line in enumerate(text.split("\n"), 1):
        if not _Template(line).is_valid():
            raise _wrong(path, number, "单独的 $ 不行；要写美元符号请写 $$", "a lone $ will not do; write $$ for a dollar sign")
        for name in _identifiers(line):
            if name not in PLACEHOLDERS:
                allowed = " ".join(f"${key}" for key in PLACEHOLDERS)
                raise _wrong(path, number, f"没有 ${name}；可以用 {allowed}", f"there is no ${name}; you may use {allowed}")
    return text


def _wrong(path: Path, line: int, zh: str, en: str) -> BadSetting:
    where = f"templates/{path.name}" if path.name != "templates" else "templates"
    return BadSetting(f"{where}:{line}" if line else where, zh, en, code="bad_template")
