"""The closed lists of the mail parser: what can be wrong with a mail, why it counts as a machine's, and what it may cost to read one.

Purpose: whoever stores, shows or counts a code finds its meaning here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import thread_time

from models.errors import Unreadable

# What was wrong with the bytes and was put up with: code, then what was done about it.
DEFECTS: Mapping[str, str] = {
    # Headers.
    "header_garbage": "lines before the first header, or between headers, were skipped",
    "header_unfolded": "the second line of a header was not indented; it was joined to the first",
    "no_blank_line": "no blank line between headers and body; the body begins at the first line that is no header",
    "raw_header_bytes": "bytes beyond ASCII in a header without an encoded word (RFC 2047); the charset was guessed",
    "bad_encoded_word": "an encoded word could not be decoded and stands as it came (RFC 2047 6.3)",
    "several_from": "more than one From header or address; the first usable one counts (RFC 5322 3.6)",
    "from_elsewhere": "From has no usable address; it was taken from Reply-To, Sender or Return-Path",
    "from_encoded": "the whole sender, address included, was one encoded word (RFC 2047 5)",
    "no_from": "no usable sender address anywhere",
    "no_message_id": "no Message-ID",
    "bad_message_id": "a Message-ID that breaks RFC 5322 3.6.4",
    "bad_date": "no Date, or one that is no date",
    "header_cut": "a header longer than is ever read was cut",
    # Structure.
    "bare_cr": "lines end in CR alone",
    "no_boundary": "a multipart without a boundary parameter, or whose boundary never occurs",
    "boundary_guessed": "the boundary was taken from the body, because the declared one is missing or wrong",
    "unclosed_multipart": "the closing boundary is missing: perhaps the mail was cut off",
    "no_parts": "a multipart with nothing in it",
    # Content.
    "no_charset": "bytes beyond ASCII without a declared charset; it was guessed",
    "unknown_charset": "a charset that nobody knows; it was guessed",
    "wrong_charset": "the declared charset is not the one of the bytes; another one was used",
    "undecodable": "bytes that are no text in any likely charset became U+FFFD",
    "unknown_encoding": "a Content-Transfer-Encoding that RFC 2045 6.1 does not know; the bytes were taken as they are",
    "bad_encoding": "broken base64 or uuencode; what could be decoded was",
    "nul_bytes": "NUL bytes were removed from the text",
    "html_simplified": "the HTML was too large or too broken to be laid out; its tags were simply removed",
    "bad_tnef": "Outlook's winmail.dat breaks off; what could be read of it stands beside it",
    "text_within": "the mail says nothing itself; the text is that of the message that it carries",
    "sealed": "encrypted or opaquely signed (S/MIME, PGP): nobody can read it here",
    "text_cut": "the text was longer than is ever shown; the rest is only in the raw bytes",
    "filename_cut": "a file name was too long and was cut",
}

# Why a mail counts as written by a machine, in the order in which the reasons are looked for (RFC 3834 2).
AUTO_REASONS: Mapping[str, str] = {
    "null_return_path": "the return path is empty: a bounce or a notice",
    "report": "a delivery or disposition report (multipart/report, RFC 6522)",
    "loop": "a jiesu wrote it, this one or another (X-Jiesu-Loop, X-Loop)",
    "auto_submitted": "Auto-Submitted is other than `no` (RFC 3834 5)",
    "autoreply_header": "X-Autoreply, X-Autorespond or a header like them, or Precedence: auto_reply",
    "daemon_sender": "the sender is MAILER-DAEMON or postmaster",
    "list": "a mailing list sent it (List-*, Precedence: list; RFC 2369, RFC 2919)",
    "precedence": "Precedence is bulk or junk",
    "suppress": "X-Auto-Response-Suppress asks for no automatic answer",
    "auto_subject": "the subject begins like an automatic reply's (自动回复：…)",
}


@dataclass(frozen=True, slots=True)
class MailLimits:
    """What one mail may cost to be read; beyond it the mail is `Unreadable`.

    seconds:      of processor time of the thread that reads.
    size:         bytes of the whole mail.
    depth:        multiparts within one another.
    parts:        parts in all, multiparts included.
    header_bytes: of all headers of all parts together.
    text_chars:   characters of text kept; a longer text is cut, not refused.
    """

    seconds: float = 5.0
    size: int = 64 * 1024 * 1024
    depth: int = 20
    parts: int = 100
    header_bytes: int = 512 * 1024
    text_chars: int = 1_000_000


DEFAULT_LIMITS = MailLimits()


class Budget:
    """What is left of a mail's limits while it is read. Every method raises `Unreadable` when its limit is passed.

    The time is this thread's own processor time: a busy machine must not put aside a mail that is no trouble.
    """

    def __init__(self, limits: MailLimits, clock: Callable[[], float] = thread_time) -> None:
        self.limits = limits
        self._clock = clock
        self._until = clock() + limits.seconds
        self._parts = 0
        self._header_bytes = 0

    def check_time(self) -> None:
        """Code `mail_too_slow` when the time is used up."""
        if self._clock() > self._until:
            raise Unreadable(
                "mail_too_slow",
                f"邮件解析超过 {self.limits.seconds:g} 秒，原文已保留",
                f"the mail takes longer than {self.limits.seconds:g} s to read; its bytes are kept",
            )

    def check_size(self, size: int) -> None:
        """Code `mail_too_large` when the mail has more than `limits.size` bytes."""
        if size > self.limits.size:
            raise Unreadable(
                "mail_too_large",
                f"邮件超过 {self.limits.size} 字节，原文已保留",
                f"the mail has more than {self.limits.size} bytes; they are kept",
            )

    def spend_part(self, depth: int) -> None:
        """One more part at `depth`; codes `mail_too_deep` and `mail_too_many_parts`."""
        self.check_time()
        self._parts += 1
        if depth > self.limits.depth:
            raise Unreadable(
                "mail_too_deep",
                f"邮件嵌套超过 {self.limits.depth} 层，原文已保留",
                f"the mail is nested deeper than {self.limits.depth}; its bytes are kept",
            )
        self.check_parts(self._parts)

    def check_parts(self, parts: int) -> None:
        """Code `mail_too_many_parts` when `parts` are more than allowed."""
        if parts > self.limits.parts:
            raise Unreadable(
                "mail_too_many_parts",
                f"邮件超过 {self.limits.parts} 个部分，原文已保留",
                f"the mail has more than {self.limits.parts} parts; its bytes are kept",
            )

    def header_room(self) -> int:
        """How many bytes of headers may still come."""
        return self.limits.header_bytes - self._header_bytes

    def spend_header(self, size: int) -> None:
        """`size` more bytes of headers; code `mail_headers_too_large`."""
        self._header_bytes += size
        if self._header_bytes > self.limits.header_bytes:
            raise Unreadable(
                "mail_headers_too_large",
                f"邮件头超过 {self.limits.header_bytes} 字节，原文已保留",
                f"the mail's headers have more than {self.limits.header_bytes} bytes; they are kept",
            )
