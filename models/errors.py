"""The errors of jiesu, each named by what the caller should do about it.

Every error carries a Chinese and an English sentence, because it is read by people: the operator at the terminal, the customer in the
chat, the colleague who looks at a parked job. A lower library's errors are translated into these at the border where they arise.
"""

from __future__ import annotations


class JiesuError(Exception):
    """Something went wrong that a person can do something about.

    `code` comes from a closed list per raiser and is what programs look at; `zh` and `en` are the sentences for people.
    """

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")
        self.code = code
        self.zh = zh
        self.en = en


class BadSetting(JiesuError):
    """A setting, the plan file or a command-line value is wrong: change the named key, then start again."""

    def __init__(self, key: str, zh: str, en: str, *, code: str = "bad_setting") -> None:
        super().__init__(code, f"{key}：{zh}", f"{key}: {en}")
        self.key = key


class TryLater(JiesuError):
    """A fault of ours or of the network that may pass by itself: the same call may succeed later."""


class Refused(JiesuError):
    """The caller asked for something that it may not have or that makes no sense: do not try the same again."""


class Unreadable(JiesuError):
    """The bytes cannot be understood within the limits: keep them whole, park the job, go on with the rest."""
