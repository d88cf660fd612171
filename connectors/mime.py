"""The bytes of a mail to what its sender says, who he is and what he sends along.

Purpose: one frozen `Mail` for any bytes at all, within limits. Nothing is lost here: what the mail is believed to say is read from the
raw bytes again whenever this reading gets better.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.charsets import charset_of
from connectors.display_names import looks_like_person
from connectors.file_types import by_content
from connectors.mail_addresses import addresses, message_ids, own_date, own_id
from connectors.mail_body import MailPart, read_content
from connectors.mail_defects import DEFAULT_LIMITS, Budget, MailLimits
from connectors.mail_headers import Headers, read_block, unstructured
from connectors.mail_parts import Part, read_tree
from connectors.replies import read_subject, said_now
from models.answer import box_of, is_daemon
from models.complaint import Attachment, Customer, Parsed
from models.submission import Submission


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it was understood.

    from_email, from_display_name: empty when the mail does not say.
    subject:        one line, decoded, without control characters.
    text:           the whole plain text, quoted history and signature included.
    reply_text:     what the sender wrote this time (`connectors.replies`).
    parts:          what came along, with its bytes, in the order of the mail.
    message_id, in_reply_to, references: within `<>`; never to be trusted.
    date:           aware, UTC, as the sender says.
    to:             addresses of To and Cc.
    auto_generated: True when the mail says of itself that a machine wrote it; `auto_reason` is a code of `mail_defects.AUTO_REASONS`.
    reported_id:    the Message-ID of the mail that a delivery report is about.
    reported_action, reported_status: what that report says became of it (RFC 3464).
    returned_ids:   the Message-IDs of mails that came along, as servers return what they could not deliver.
    reply_to:       where answers are wanted, where that is not `from_email`; the first address that is not `list_box`, if there is one.
    list_box:       the mailing list's own address, where the mail came through one that says it (RFC 2369, RFC 2919).
    defects:        codes of `mail_defects.DEFECTS`, sorted.
    """

    from_email: str
    from_display_name: str
    subject: str
    text: str
    reply_text: str
    parts: tuple[MailPart, ...]
    message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    date: datetime | None
    to: tuple[str, ...]
    auto_reason: str | None
    reported_id: str | None = None
    reported_action: str | None = None
    reported_status: str | None = None
    returned_ids: tuple[str, ...] = ()
    reply_to: str = ""
    list_box: str = ""
    defects: tuple[str, ...] = field(default=())

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """What is known of each of `parts`."""
        return tuple(part.attachment for part in self.parts)

    @property
    def auto_generated(self) -> bool:
        """Whether there is an `auto_reason`."""
        return self.auto_reason is not None


def read_mail(raw: bytes, *, limits: MailLimits = DEFAULT_LIMITS, null_return_path: bool = False) -> Mail:
    """The mail that `raw` is; bytes that are no mail become one with an empty sender and their text.

    null_return_path: True when the transport said that the return path is empty (`MAIL FROM:<>`).
    Errors: only `Unreadable`, when reading would exceed `limits`; codes `mail_too_slow`, `mail_too_large`, `mail_too_deep`,
            `mail_too_many_parts`, `mail_headers_too_large`.
    Source: RFC 5322, RFC 2045 to 2047, RFC 2231, RFC 3676, RFC 3834.
    """
    budget = Budget(limits)
    budget.check_size(len(raw))
    defects: set[str] = set()
    if b"\n" not in raw and b"\r" in raw:
        defects.add("bare_cr")
        raw = raw.replace(b"\r", b"\n")
    headers, start = read_block(raw, 0, len(raw), True, budget, defects)
    root = read_tree(raw, headers, start, budget, defects)
    hints = _declared_charsets(headers, root)
    content = read_content(raw, root, hints, budget, defects)
    budget.check_time()
    if not content.text and _value(headers, "content-type") != b"multipart/report":
        content.text = _text_within(content.parts, hints, budget, defects)
    name, address = _sender(headers, defects, hints)
    subject = unstructured(headers.first("subject"), defects, hints)
    to = [pair[1] for key in ("to", "cc") for value in headers.every(key) for pair in addresses(value, defects, hints) if pair[1]]
    replied = message_ids(headers.first("in-reply-to"))
    references = message_ids(headers.first("references"))
    list_box = _list_box(headers, address)
    wanted = [pair[1] for value in headers.every("reply-to") for pair in addresses(value, defects, hints) if pair[1]]
    reply = said_now(content.text, subject, answers=bool(replied or references))
    budget.check_time()
    return Mail(
        from_email=address,
        from_display_name=name,
        subject=subject,
        text=content.text,
        reply_text=reply,
        parts=tuple(content.parts),
        message_id=own_id(headers.first("message-id"), defects),
        in_reply_to=replied[0] if replied else None,
        references=tuple(references),
        date=own_date(headers.first("date"), defects),
        to=tuple(dict.fromkeys(to))[:100],
        auto_reason=_auto_reason(headers, address, subject, null_return_path),
        reported_id=content.reported_id,
        reported_action=content.reported_action,
        returned_ids=tuple(content.returned_ids),
        reported_status=content.reported_status,
        reply_to=next((one for one in wanted if box_of(one) != box_of(list_box)), next(iter(wanted), "")),
        list_box=list_box,
        defects=tuple(sorted(defects)),
    )


def as_json(mail: Mail) -> dict[str, object]:
    """A mail as `jiesu inspect mail` prints it: JSON values only, without contents of attachments."""
    return {
        "from_email": mail.from_email,
        "from_display_name": mail.from_display_name,
        "subject": mail.subject,
        "text": mail.text,
        "reply_text": mail.reply_text,
        "attachments": [{"filename": known.filename, "size": known.size, "mime_type": known.mime_type} for known in mail.attachments],
        "message_id": mail.message_id,
        "auto_generated": mail.auto_generated,
        "defects": list(mail.defects),
    }


def parse(submission: Submission) -> Parsed:
    """What a mail submission says, in the words of every channel.

    Of the envelope, `mail_from` is looked at: an empty one marks a bounce or notice. Errors: `Unreadable` as `read_mail`.
    """
    mail = read_mail(submission.raw, null_return_path=submission.envelope.get("mail_from") in ("", "<>"))
    said = mail.reply_text
    marks = read_subject(mail.subject)
    return Parsed(
        title=mail.subject.strip() or said.strip().partition("\n")[0][:60],
        said=said,
        text=mail.text,
        attachments=tuple(map(_attached, mail.parts)),
        hints=Customer(
            name=mail.from_display_name if looks_like_person(mail.from_display_name) else None,
            email=mail.from_email or None,
            # What the address that was written to stands for (`smtp.estates`).
            estate=str(submission.envelope.get("estate") or "") or None,
        ),
        defects=mail.defects,
        machine=mail.auto_generated,
        details={
            "from_email": mail.from_email,
            "from_display_name": mail.from_display_name,
            "to": list(mail.to),
            "message_id": mail.message_id,
            "in_reply_to": mail.in_reply_to,
            "references": list(mail.references),
            "date": mail.date.isoformat() if mail.date else None,
            "auto_reason": mail.auto_reason,
            "auto_subject": bool(_AUTO_SUBJECT.match(mail.subject)),
            "reported_id": mail.reported_id,
            "reported_action": mail.reported_action,
            "returned_ids": list(mail.returned_ids),
            "reported_status": mail.reported_status,
            "reply_to": mail.reply_to,
            "list_box": mail.list_box,
            "forwarded": marks.forwarded,
            "passed_on": marks.passed_on,
            "replied": marks.replied,
            "topic": marks.topic,
            **{key: submission.envelope[key] for key in ("brand", "came_at") if submission.envelope.get(key)},
        },
    )


def file_of(submission: Submission, position: int, sha256: str) -> bytes | None:
    """The bytes of a file that came with a mail; `None` when there is none such.

    position, sha256: its place among the attachments of `parse`, from 0, and the sum that was kept of it. Where this reading finds another
    file in that place, because mails are read better than they were, the sum finds the right one.
    Errors: `Unreadable` as `read_mail`.
    """
    parts = read_mail(submission.raw).parts
    for part in (*parts[position : position + 1], *parts):
        if hashlib.sha256(part.content).hexdigest() == sha256:
            return part.content
    return None


def _attached(part: MailPart) -> Attachment:
    known = part.attachment
    return replace(
        known,
        mime_type=by_content(part.content, known.mime_type),
        declared=known.mime_type,
        sha256=hashlib.sha256(part.content).hexdigest(),
    )


_WORD_CHARSET = re.compile(rb"=\?([A-Za-z0-9_-]{1,40})[?*]")


def _text_within(parts: Sequence[MailPart], hints: Sequence[str], budget: Budget, defects: set[str]) -> str:
    """The text of the first message that was sent along, for a mail that says nothing itself: who forwards so means what is in it."""
    for part in parts:
        if part.attachment.mime_type in ("message/rfc822", "message/global"):
            inner: set[str] = set()
            headers, start = read_block(part.content, 0, len(part.content), True, budget, inner)
            text = read_content(part.content, read_tree(part.content, headers, start, budget, inner), hints, budget, inner).text
            if text:
                defects.add("text_within")
                return text
    return ""


def _declared_charsets(headers: Headers, root: Part) -> list[str]:
    """The charsets that a mail names anywhere: the best guess for what it leaves unnamed."""
    labels: list[str | None] = []
    for key in ("subject", "from", "to", "reply-to"):
        value = headers.first(key)
        if value and b"=?" in value:
            labels += [found.decode("ascii") for found in _WORD_CHARSET.findall(value[:4096])]
    waiting = [root]
    while waiting:
        part = waiting.pop()
        labels.append(part.params.get("charset"))
        waiting += part.children
    return list(dict.fromkeys(charset for charset in map(charset_of, labels) if charset))


def _sender(headers: Headers, defects: set[str], hints: Sequence[str]) -> tuple[str, str]:
    """Display name and address of who wrote: the first usable mailbox of From, else of Reply-To, Sender or Return-Path."""
    mailboxes = [pair for value in headers.every("from") for pair in addresses(value, defects, hints)]
    if len(mailboxes) > 1:
        defects.add("several_from")
    for name, address in mailboxes:
        if address:
            return name, address
    for value in headers.every("from"):
        # Some mailers encode the whole mailbox, address included (RFC 2047 5 forbids it).
        spelt = unstructured(value, defects, hints) if b"=?" in value else ""
        for name, address in addresses(spelt.encode("utf-8", "replace"), set(), hints):
            if address:
                defects.add("from_encoded")
                return name, address
    for key in ("reply-to", "sender", "return-path"):
        for value in headers.every(key):
            for name, address in addresses(value, defects, hints):
                if address:
                    defects.add("from_elsewhere")
                    return name, address
    defects.add("no_from")
    return next((name for name, _ in mailboxes if name), ""), ""


_LIST_POST = re.compile(rb"<\s*mailto:([^<>?\s]{1,320}@[^<>?\s]{1,253})", re.IGNORECASE)
_LIST_ID = re.compile(rb"<\s*([^<>\s]{3,320})\s*>")


def _list_box(headers: Headers, address: str) -> str:
    """A list's own address: that to which its members write, else its id, where that is an address or spells From's."""
    post = _LIST_POST.search(headers.first("list-post") or b"")
    if post:
        return post[1].decode("ascii", "replace")
    named = _LIST_ID.search(headers.first("list-id") or b"")
    spelt = named[1].decode("ascii", "replace") if named else ""
    if "@" in spelt:
        return spelt
    return address if spelt and box_of(address).replace("@", ".") == spelt.casefold() else ""


_AUTO_SUBJECT = re.compile(
    r"\s*(?:\[?(?:自动回复|自动答复|自動回覆|自動回復|自动应答)\]?|auto(?:matic)?[- ]?reply|auto[- ]?response|out of (?:the )?office)"
    r"(?:\s*[:：]|\s*$)",
    re.IGNORECASE,
)
_AUTOREPLY_HEADERS = ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autoreply-from", "x-auto-respond", "x-mail-autoreply")
_NO_VALUE = (b"", b"no", b"none", b"false", b"0")


def _value(headers: Headers, name: str) -> bytes:
    return (headers.first(name) or b"").split(b";")[0].split(b"(")[0].strip().lower()


def _auto_reason(headers: Headers, address: str, subject: str, null_return_path: bool) -> str | None:
    """The first code of `mail_defects.AUTO_REASONS` that applies; the order is that of the list."""
    if null_return_path or (headers.first("return-path") or b"-").strip() in (b"<>", b""):
        return "null_return_path"
    if _value(headers, "content-type") == b"multipart/report":
        return "report"
    if headers.first("x-jiesu-loop") is not None or _value(headers, "x-loop").startswith(b"jiesu"):
        return "loop"
    if _value(headers, "auto-submitted") not in _NO_VALUE:
        return "auto_submitted"
    if _value(headers, "precedence") == b"auto_reply" or any(_value(headers, name) not in _NO_VALUE for name in _AUTOREPLY_HEADERS):
        return "autoreply_header"
    if is_daemon(address):
        return "daemon_sender"
    if _value(headers, "precedence") == b"list" or any(name.startswith("list-") for name in headers.names()):
        return "list"
    if _value(headers, "precedence") in (b"bulk", b"junk"):
        return "precedence"
    if _value(headers, "x-auto-response-suppress") not in _NO_VALUE:
        return "suppress"
    if _AUTO_SUBJECT.match(subject):
        return "auto_subject"
    return None
