"""Files that came with submissions, on each database: named once, found by complaint and id, never under another complaint."""

from __future__ import annotations

import pytest
from factories import MORNING, submission
from sqlalchemy.exc import IntegrityError

from gateway.attachments import Attachments
from gateway.store import attachments, complaints, submissions
from gateway.store.engine import Store
from gateway.store.migrations import upgrade
from models.attachment import AttachmentLimits, AttachmentState, StoredAttachment
from models.complaint import Attachment
from models.errors import Refused, Unreadable
from models.submission import Channel, Receipt, Submission

FILES = [
    Attachment("漏水.jpg", 12, "image/jpeg", "image/jpg", "a" * 64),
    Attachment("a\x00b\ud800.txt", 3, "text/plain", "x/" + "y" * 500, "b" * 64),
    Attachment("large.mov", 2_000, "video/quicktime", "", "c" * 64),
    Attachment("4.pdf", 1, "application/pdf", "", "d" * 64),
]
LIMITS = AttachmentLimits(most=3, largest=1_000)


def taken_in(store: Store, offered: Submission) -> Receipt:
    from zoneinfo import ZoneInfo

    with store.write() as conn:
        receipt = submissions.take_in(store, conn, [offered], ZoneInfo("Asia/Shanghai"), MORNING)[0]
        complaints.begin(store, conn, receipt.number, offered.channel, MORNING, "漏水")
    return receipt


def kept(store: Store, receipt: Receipt) -> list[StoredAttachment]:
    files = attachments.named(receipt.number, receipt.submission_id, FILES, LIMITS)
    with store.write() as conn:
        attachments.add(store, conn, files)
    return files


def test_files_come_back_in_their_order(store: Store) -> None:
    receipt = taken_in(store, submission())
    files = kept(store, receipt)
    with store.read() as conn:
        found = attachments.of_number(conn, receipt.number)
    assert [file.id for file in found] == [file.id for file in files]
    assert [file.filename for file in found] == ["漏水.jpg", "a\ufffdb?.txt", "large.mov", "4.pdf"]
    assert [file.state for file in found] == [
        *(AttachmentState.KEPT, AttachmentState.KEPT, AttachmentState.TOO_LARGE, AttachmentState.TOO_MANY),
    ]
    assert len(found[1].declared) == 160


def test_what_is_done_twice_is_there_once(store: Store) -> None:
    receipt = taken_in(store, submission())
    first = kept(store, receipt)
    kept(store, receipt)
    with store.read() as conn:
        assert [file.id for file in attachments.of_number(conn, receipt.number)] == [file.id for file in first]


def test_a_file_belongs_to_its_complaint_alone(store: Store) -> None:
    one, other = taken_in(store, submission()), taken_in(store, submission())
    files = kept(store, one)
    with store.read() as conn:
        assert attachments.load(conn, one.number, files[0].id) is not None
        assert attachments.load(conn, other.number, files[0].id) is None
        assert attachments.load(conn, one.number, "0" * 32) is None
        assert attachments.of_number(conn, other.number) == []
    with pytest.raises(IntegrityError):
        kept(store, Receipt(one.submission_id + 1_000, one.number))


def test_a_file_is_taken_out_of_its_submission_by_its_channel(store: Store) -> None:
    chat = taken_in(store, submission(b"the file itself", channel=Channel.CHAT, key="upload", conversation="talk"))
    mail = taken_in(store, submission())
    phone = taken_in(store, submission(b"x", channel=Channel.PHONE, key="call"))

    def unreadable(submission: Submission, position: int, sha256: str) -> bytes | None:
        raise Unreadable("mail_too_slow", "太慢", "too slow")

    opener = Attachments(store, {Channel.CHAT: lambda submission, position, sha256: submission.raw, Channel.EMAIL: unreadable})
    files = {receipt.number: kept(store, receipt) for receipt in (chat, mail, phone)}
    opened = opener.open(chat.number, files[chat.number][0].id)
    assert opened is not None
    assert opened.content == b"the file itself"
    for receipt, position in ((chat, 2), (chat, 3), (mail, 0), (phone, 0)):
        with pytest.raises(Refused) as refused:
            opener.open(receipt.number, files[receipt.number][position].id)
        assert refused.value.code == "attachment_not_offered"
    for number, asked in ((chat.number, "x" * 32), (chat.number, ""), ("TS\x00", "0" * 32), (mail.number, files[chat.number][0].id)):
        assert opener.open(number, asked) is None


def test_the_migration_makes_the_table(store: Store) -> None:
    upgrade(store)
    with store.read() as conn:
        assert attachments.of_number(conn, "TS-20261123-0001") == []
