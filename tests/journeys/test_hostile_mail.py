"""Mail made to break a reader, at the door: taken in with 250, read or put aside within five seconds, and the mails behind it go on."""

from __future__ import annotations

import base64
import io
import smtplib
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from console_house import SECONDS, complain
from fakes import eventually
from running import RunningGateway

from gateway.store import jobs

HEAD = b"From: lin@mail.example\r\nTo: tousu@jiesu.example\r\nMIME-Version: 1.0\r\n"


def multipart(parts: int, of: bytes = b"Content-Type: text/plain\r\n\r\nx") -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (b"--b\r\n" + of + b"\r\n") * parts + b"--b--\r\n"


def deep(levels: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels)) + b"\r\nx\r\n"


def within(levels: int) -> bytes:
    return b"".join(b"Content-Type: message/rfc822\r\n\r\nSubject: %d\r\n" % n for n in range(levels)) + b"\r\nx\r\n"


def file(name: str, content: bytes) -> bytes:
    head = (
        f'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="{name}"'
    )
    return multipart(1, head.encode() + b"\r\n\r\n" + base64.encodebytes(content).replace(b"\n", b"\r\n"))


def bomb(levels: int = 3) -> bytes:
    """42.zip in small: archives within archives, which hold terabytes in the end."""
    content = b"\0" * 5_000_000
    for _ in range(levels):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for place in range(16):
                archive.writestr(f"{place}.zip", content)
        content = packed.getvalue()
    return content


def overlapping() -> bytes:
    """A thousand names for the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", b"\0" * 2_000_000)
        first = archive.filelist[0]
        for number in range(1, 1000):
            again = zipfile.ZipInfo(str(number))
            again.header_offset, again.compress_type, again.CRC = first.header_offset, first.compress_type, first.CRC
            again.compress_size, again.file_size = first.compress_size, first.file_size
            archive.filelist.append(again)
    return packed.getvalue()


def document(address: str) -> bytes:
    """A document whose DTD asks for an address, a file of this machine, and a billion laughs."""
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 20))
    asks = f'<!ENTITY % r SYSTEM "{address}/dtd">%r;<!ENTITY f SYSTEM "file:///etc/hostname"><!ENTITY a0 "ha">{laughs}'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<!DOCTYPE Types SYSTEM "{address}/types"><Types/>')
        archive.writestr("word/document.xml", f"<!DOCTYPE x [{asks}]><x>&f;&a19;</x>")
    return packed.getvalue()


def page(address: str) -> bytes:
    """HTML that fetches in every way there is."""
    text = (
        f'<!DOCTYPE html SYSTEM "{address}/dtd"><link rel=stylesheet href="{address}/css"><style>@import "{address}/import";</style>'
        f'<img src="{address}/img"><script src="{address}/js"></script><iframe src="{address}/frame"></iframe><p>正文</p>'
    )
    return b"Content-Type: text/html; charset=utf-8\r\n\r\n" + text.encode()


class Listener(BaseHTTPRequestHandler):
    """Writes down who asks."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("hostile"), tracker_url="") as running:
        yield running


# What is sent, and the code under which it is put aside; none where it is read.
CASES = {
    "a thousand levels": (deep(1000), "mail_too_deep"),
    "a thousand messages within one another": (within(1000), None),
    "a hundred thousand parts": (multipart(100_000), "mail_too_many_parts"),
    "a subject of a megabyte": (
        b"Subject: " + b"x" * 900 + b"\r\n " * 1 + (b"y" * 900 + b"\r\n ") * 1100 + b"\r\n\r\nx\r\n",
        "mail_headers_too_large",
    ),
    "a subject of encoded words": (b"Subject: " + b"=?utf-8?B?5ryP5rC0?=\r\n " * 20_000 + b"\r\n\r\nx\r\n", None),
    "a hundred thousand headers": (b"X-A: b\r\n" * 100_000 + b"\r\nx\r\n", "mail_headers_too_large"),
    "NUL bytes": (b"Subject: a\0b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + b"\0" * 10_000 + "漏水".encode() + b"\r\n", None),
    "a charset that nobody knows": (b"Content-Type: text/plain; charset=x-martian\r\n\r\n" + "漏水".encode("gbk") + b"\r\n", None),
    "a charset that is a codec of other kind": (b"Content-Type: text/plain; charset=zlib_codec\r\n\r\n\xff\xfe\r\n", None),
    "an archive of archives": (file("42.zip", bomb()), None),
    "an archive whose files overlap": (file("overlap.zip", overlapping()), None),
}


def send(gateway: RunningGateway, raw: bytes) -> str:
    """Hands a mail over as bytes; its number."""
    with smtplib.SMTP(*gateway.smtp, timeout=SECONDS) as smtp:
        smtp.ehlo("here.example")
        smtp.mail("lin@mail.example")
        smtp.rcpt("tousu@jiesu.example")
        code, answer = smtp.data(raw)
    assert code == 250, answer
    return answer.decode().split()[-1]


def settled(gateway: RunningGateway, number: str) -> tuple[bool, list[str]]:
    """Whether a mail has been read, and why it was put aside."""
    with gateway.app.store.read() as conn:
        reasons = [job.reason_code for job in jobs.parked(conn, number=number)]
    return gateway.app.desk.story(number) is not None, reasons


@pytest.mark.parametrize("name", CASES)
def test_hostile_mail_is_taken_in_and_put_aside_or_read(gateway: RunningGateway, name: str) -> None:
    raw, code = CASES[name]
    began = time.monotonic()
    number = send(gateway, HEAD + raw)
    read, reasons = eventually(lambda: found if any(found := settled(gateway, number)) else None)
    # The transfer counted in, and this machine may be busy: the reading itself ends after five seconds whatever happens.
    assert time.monotonic() - began < 8
    assert (read, reasons) == ((False, [code]) if code else (True, []))
    # Whole, whatever became of it.
    (kept,) = [one for one in gateway.committed() if one.raw.endswith(raw[-400:]) and len(one.raw) >= len(raw)][-1:]
    assert raw in kept.raw
    # The next one is served as if nothing had been.
    assert gateway.app.desk.story(complain(gateway, f"楼道漏水三天了，没有人管。{name}")) is not None


def test_nothing_is_fetched_for_anything_in_a_mail(gateway: RunningGateway, address: str) -> None:
    for raw in (file("合同.docx".encode("ascii", "replace").decode(), document(address)), page(address)):
        number = send(gateway, HEAD + raw)
        read, reasons = eventually(lambda number=number: found if any(found := settled(gateway, number)) else None)
        assert read
        assert not reasons
    assert Listener.asked == []


_MEASURED = """
import sys
from pathlib import Path
from connectors.mime import read_mail
from models.errors import Unreadable

def most():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))

before = most()
raw = sys.stdin.buffer.read()
try:
    read_mail(raw)
except Unreadable:
    pass
print(most() - before)
"""


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "漏水。\r\n".encode() * 1_800_000,
        b"Content-Type: text/html; charset=utf-8\r\n\r\n" + b"<p>x</p>" * 2_500_000,
        b"Content-Type: text/html; charset=utf-8\r\n\r\n" + b"&#x6f0f;" * 2_500_000,
        multipart(90, b"Content-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 55_000),
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + (b"M" + b"x" * 60 + b"\r\n") * 300_000,
    ],
    ids=["text", "HTML", "references", "files", "uuencode"],
)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the most that a process took is told by Linux only")
def test_the_largest_mail_takes_a_bounded_multiple_of_its_size(body: bytes) -> None:
    """In a process of its own, because the most that a process ever took cannot be asked twice."""
    raw = HEAD + body
    done = subprocess.run([sys.executable, "-c", _MEASURED], input=raw, capture_output=True, check=True, timeout=60)
    taken = int(done.stdout) * 1024
    # The bytes themselves at least, or nothing was measured.
    assert taken > len(raw)
    assert taken < 12 * len(raw) + 50_000_000, f"{taken / len(raw):.1f} times {len(raw)} bytes"
