"""Files that came with complaints, from the mail to the person and the program that fetch them, and nobody else."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from console_house import SECONDS, Visitor, person
from fakes import eventually
from running import RunningGateway, send

from connectors.mime import read_mail
from gateway.web import attachments
from models.attachment import AttachmentState, StoredAttachment
from models.staff import Role, Scope


def png(wide: int, high: int) -> bytes:
    """A PNG that says that it is so large; of one grey line for each."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    lines = zlib.compress(b"".join(b"\0" + b"\x80" * wide for _ in range(min(high, 50))))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", lines)
        + chunk(b"IEND", b"")
    )


def bomb() -> bytes:
    """An archive of a few kilobytes that holds a hundred files of 20 MB, all in the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", b"\0" * 20_000_000)
        first = archive.filelist[0]
        for number in range(1, 100):
            again = zipfile.ZipInfo(str(number))
            again.header_offset, again.compress_type = first.header_offset, first.compress_type
            again.CRC, again.compress_size, again.file_size = first.CRC, first.compress_size, first.file_size
            archive.filelist.append(again)
        archive._didModify = True
    return packed.getvalue()


def docx_with_dtd() -> bytes:
    """A document whose XML wants a file of this machine and one of the network, and grows without end."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))
        dtd = f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY n SYSTEM "http://127.0.0.1:9/x"><!ENTITY a0 "a">{entities}]>'
        archive.writestr("word/document.xml", f"<?xml version='1.0'?>{dtd}<x>&f;&n;&a29;</x>")
    return packed.getvalue()


HTML = b"<!DOCTYPE html><script>alert(document.cookie)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
PHOTO = png(40, 30)
# Name as sent, declared type, bytes; name as shown, type by content.
FILES: list[tuple[str, str, bytes, str, str]] = [
    ("阳台漏水.png", "image/png", PHOTO, "阳台漏水.png", "image/png"),
    ("../../etc/passwd", "application/pdf", b"%PDF-1.7 x", "passwd", "application/pdf"),
    ("\u200b.htaccess", "text/plain", b"deny from all", "htaccess", "text/plain"),
    ("photo\u202egnp.exe", "image/png", b"MZ\x90\0" + b"\0" * 100, "photognp.exe", "application/x-msdownload"),
    ("漏" * 5000 + ".jpg", "image/jpeg", b"\xff\xd8\xff\xe0 no picture", "漏" * 116 + ".jpg", "image/jpeg"),
    ("page.jpg", "image/jpeg", HTML, "page.jpg", "text/html"),
    ("drawing.png", "image/png", SVG, "drawing.png", "image/svg+xml"),
    ('quo"te\r\nX-Evil: 1.txt', "text/plain", "合同".encode(), "quo_te X-Evil_ 1.txt", "text/plain"),
    ("huge.png", "image/png", png(60_000, 60_000), "huge.png", "image/png"),
    ("bomb.zip", "application/zip", bomb(), "bomb.zip", "application/zip"),
    (
        "合同.docx",
        "application/msword",
        docx_with_dtd(),
        "合同.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
]


@cache
def mail_with_files() -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "林树 <lin@mail.example>", "tousu@jiesu.example", "照片"
    message["Message-ID"] = "<files@mail.example>"
    message.set_content("阳台漏水，照片见附件。")
    for place, (_, mime_type, content, _, _) in enumerate(FILES):
        main, _, sub = mime_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=f"place-{place:02}")
    raw = bytes(message)
    for place, (name, *_) in enumerate(FILES):
        # Written by hand: the standard library would fold, refuse or clean what a hostile sender does not.
        encoded = "".join(f"%{byte:02X}" for byte in name.encode())
        raw = raw.replace(f'filename="place-{place:02}"'.encode(), f"filename*=utf-8''{encoded}".encode())
    return raw


def sent(gateway: RunningGateway, raw: bytes) -> str:
    """The number of a mail, once it is sorted."""
    number = send(gateway.smtp, raw)
    eventually(lambda: (story := gateway.app.desk.story(number)) is not None and story.verdicts)
    return number


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("files"), tracker_url="", attachments_largest_bytes=5_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def number(gateway: RunningGateway) -> str:
    return sent(gateway, mail_with_files())


@pytest.fixture(scope="module")
def files(gateway: RunningGateway, number: str) -> list[StoredAttachment]:
    return gateway.app.attachments.of_number(number)


@pytest.fixture
def agent(gateway: RunningGateway, request: pytest.FixtureRequest) -> Visitor:
    return person(gateway, f"客服{abs(hash(request.node.name)) % 10**9}", Role.AGENT)


def test_every_file_is_known_by_a_random_id_its_name_and_what_it_is(files: list[StoredAttachment]) -> None:
    assert [(file.filename, file.mime_type) for file in files] == [(shown, kind) for _, _, _, shown, kind in FILES]
    assert [file.declared for file in files] == [declared for _, declared, _, _, _ in FILES]
    assert [file.sha256 for file in files] == [hashlib.sha256(content).hexdigest() for _, _, content, _, _ in FILES]
    assert {len(file.id) for file in files} == {32}
    assert len({file.id for file in files}) == len(FILES)


def test_a_file_is_saved_never_shown(agent: Visitor, number: str, files: list[StoredAttachment]) -> None:
    for file, (_, _, content, shown, _) in zip(files, FILES, strict=True):
        answer = agent.get(f"/console/complaints/{number}/attachments/{file.id}")
        assert answer.status == 200
        assert answer.bytes == content
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        told = answer.headers["content-disposition"]
        assert told.startswith("attachment; filename=")
        assert told.isascii()
        assert unquote(told.rpartition("filename*=UTF-8''")[2]) == shown
        assert "x-evil" not in answer.headers


def test_only_pixels_are_shown_and_not_too_many(agent: Visitor, number: str, files: list[StoredAttachment]) -> None:
    shown = {}
    for file in files:
        answer = agent.get(f"/console/complaints/{number}/attachments/{file.id}/preview")
        shown[file.filename] = answer.status
        if answer.status == 200:
            # Too many pixels, or no picture after all: one clear pixel in its place.
            expected = (PHOTO, "image/png") if file.filename == "阳台漏水.png" else (attachments._NOTHING, "image/gif")
            assert (answer.bytes, answer.headers["content-type"]) == expected
            assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert answer.headers["x-content-type-options"] == "nosniff"
    assert [name for name, status in shown.items() if status == 200] == ["阳台漏水.png", "漏" * 116 + ".jpg", "huge.png"]
    assert set(shown.values()) == {200, 404}


def test_the_page_lists_the_files_with_what_to_beware_of(agent: Visitor, number: str, files: list[StoredAttachment]) -> None:
    page = agent.get(f"/console/complaints/{number}").text
    for file in files:
        assert f'href="/console/complaints/{number}/attachments/{file.id}"' in page
    for words in ("这是程序或脚本", "网页类文件", "压缩包", "阳台漏水.png", "quo_te X-Evil_ 1.txt"):
        assert words in page
    assert "A program or script" in agent.get(f"/console/complaints/{number}?lang=en").text
    assert "\u202e" not in page
    assert "onload=" not in page


def test_nobody_else_gets_a_file(gateway: RunningGateway, agent: Visitor, number: str, files: list[StoredAttachment]) -> None:
    address = f"/console/complaints/{number}/attachments/{files[0].id}"
    for path in (address, f"{address}/preview"):
        stranger = Visitor(gateway).get(path)
        assert stranger.status in (302, 303, 401)
        assert PHOTO not in stranger.bytes
    other = sent(gateway, mail_with_files().replace(b"files@mail.example", b"others@mail.example"))
    # An id opens nothing under another complaint's number, and what is no id opens nothing.
    for wrong in (
        f"/console/complaints/{other}/attachments/{files[0].id}",
        f"/console/complaints/{number}/attachments/{'0' * 32}",
        f"/console/complaints/{number}/attachments/1",
        f"/console/complaints/{number}/attachments/..%2f..%2fetc",
        f"/console/complaints/{number}/attachments/%00",
        f"/console/complaints/%00/attachments/{files[0].id}",
    ):
        assert agent.get(wrong).status == 404, wrong


def call(gateway: RunningGateway, path: str, token: str | None) -> tuple[int, bytes]:
    asked = urllib.request.Request(gateway.web + path, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_programs_fetch_files_with_the_scope_for_it(gateway: RunningGateway, number: str, files: list[StoredAttachment]) -> None:
    allowed = gateway.app.api_token
    status, body = call(gateway, f"/api/v1/complaints/{number}", allowed)
    assert status == 200
    listed: list[dict[str, Any]] = json.loads(body)["conversation"][0]["attachments"]
    assert [one["id"] for one in listed] == [file.id for file in files]
    for one, (_, _, content, _, _) in zip(listed, FILES, strict=True):
        path = "/" + one["link"].split("/", 3)[3]
        assert call(gateway, path, allowed) == (200, content)
    path = f"/api/v1/complaints/{number}/attachments/{files[0].id}"
    assert call(gateway, path, None)[0] == 401
    assert call(gateway, path, "no token of ours")[0] == 401
    narrow = gateway.app.staffing.add_token("reviews", [Scope.REVIEW_READ])
    assert call(gateway, path, narrow)[0] == 403
    assert call(gateway, f"/api/v1/complaints/{number}/attachments/{'f' * 32}", allowed)[0] == 404


def test_what_is_beyond_the_limits_stays_in_the_original(gateway: RunningGateway, agent: Visitor) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"], message["Subject"], message["Message-ID"] = "lin@mail.example", "很多照片", "<many@mail.example>"
    message.set_content("见附件。")
    message.add_attachment(b"\xff\xd8\xff" + b"x" * 5_000_000, maintype="image", subtype="jpeg", filename="large.jpg")
    for place in range(50):
        message.add_attachment(b"%PDF-" + str(place).encode(), maintype="application", subtype="pdf", filename=f"{place}.pdf")
    number = sent(gateway, bytes(message))
    files = gateway.app.attachments.of_number(number)
    assert [file.state for file in files] == [AttachmentState.TOO_LARGE, *[AttachmentState.KEPT] * 49, AttachmentState.TOO_MANY]
    for file in (files[0], files[-1]):
        answer = agent.get(f"/console/complaints/{number}/attachments/{file.id}")
        assert answer.status == 422
        assert "原件" in answer.text
        status, body = call(gateway, f"/api/v1/complaints/{number}/attachments/{file.id}", gateway.app.api_token)
        assert (status, json.loads(body)["code"]) == (422, "attachment_not_offered")
    page = agent.get(f"/console/complaints/{number}").text
    assert "超过大小上限" in page
    assert "超过个数上限" in page


def test_nothing_is_kept_twice_and_the_original_is_whole(gateway: RunningGateway, number: str) -> None:
    story = gateway.app.desk.story(number)
    assert story is not None
    (original,) = story.originals.values()
    kept = gateway.app.desk.original(number, original.id)
    assert kept is not None
    assert kept[1].endswith(mail_with_files())
    home: Path = gateway.app.settings.home
    assert [path for path in home.rglob("*") if path.is_file() and path.suffix in (".png", ".zip", ".docx", ".exe", ".pdf")] == []


def test_a_bomb_is_read_as_quickly_as_any_other_mail(gateway: RunningGateway, number: str) -> None:
    started = time.process_time()
    found = read_mail(mail_with_files())
    assert time.process_time() - started < 1
    assert sum(part.attachment.size for part in found.parts) < 500_000
