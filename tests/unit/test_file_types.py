"""What a file is by its bytes, row by row; and how many pixels a picture wants."""

from __future__ import annotations

import io
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.file_types import UNKNOWN, by_content, pixels, type_of


def archive(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return packed.getvalue()


OFFICE = "application/vnd.openxmlformats-officedocument."


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (b"\xff\xd8\xff\xe1Exif", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (b"RIFF....junk", None),
        (b"....ftypheic", "image/heic"),
        (b"....ftypavif", "image/avif"),
        (b"....ftypM4A ", "audio/mp4"),
        (b"....ftypqt  ", "video/quicktime"),
        (b"....ftyp3gp4", "video/3gpp"),
        (b"....ftypisom", "video/mp4"),
        (b"#!AMR\n", "audio/amr"),
        (b"\x02#!SILK_V3", "audio/silk"),
        (b"%PDF-1.4", "application/pdf"),
        (b"{\\rtf1", "text/rtf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"Rar!\x1a\x07\x01\x00", "application/vnd.rar"),
        (b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
        (b"MZ\x90", "application/x-msdownload"),
        (b"\x7fELF", "application/x-elf"),
        (b"#!/bin/sh", "text/x-shellscript"),
        (b"\xef\xbb\xbf <!-- x --> <!DOCTYPE html>", "text/html"),
        (b"\n<HTML><body>", "text/html"),
        (b"<script>", "text/html"),
        (b"<svg xmlns=", "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<svg>', "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<x>', "text/xml"),
        (archive("a.txt"), "application/zip"),
        (archive("[Content_Types].xml", "word/document.xml"), f"{OFFICE}wordprocessingml.document"),
        (archive("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}spreadsheetml.sheet"),
        (archive("[Content_Types].xml", "ppt/presentation.xml"), f"{OFFICE}presentationml.presentation"),
        (b"<htmlx", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_types_by_content(content: bytes, mime_type: str | None) -> None:
    assert type_of(content) == mime_type


@pytest.mark.parametrize(
    ("content", "declared", "mime_type"),
    [
        ("合同".encode(), "text/csv", "text/csv"),
        ("合同".encode("gbk"), "image/jpeg", "text/plain"),
        (b"BEGIN:VCALENDAR", "text/calendar", "text/calendar"),
        (b"Subject: x\n\ny", "message/rfc822", "message/rfc822"),
        (b"just words", "text/html", "text/plain"),
        (b"<html>", "text/plain", "text/html"),
        (b"\x00\x01\x02", "image/jpeg", UNKNOWN),
        (b"\x00\x01\x02", "text/plain", UNKNOWN),
        (b"", "image/png", UNKNOWN),
        (b"words", "text/x y", "text/plain"),
    ],
)
def test_what_is_declared_counts_for_texts_only(content: bytes, declared: str, mime_type: str) -> None:
    assert by_content(content, declared) == mime_type


@pytest.mark.parametrize(
    ("content", "mime_type", "count"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x02\0", "image/png", 256 * 512),
        (b"GIF89a\x10\0\x20\0", "image/gif", 16 * 32),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc0\0\x11\x08\x01\0\x02\0", "image/jpeg", 256 * 512),
        (b"RIFF....WEBPVP8X" + b"." * 8 + b"\x0f\0\0\x1f\0\0", "image/webp", 16 * 32),
        (b"RIFF....WEBPVP8L" + b"." * 5 + (15 | 31 << 14).to_bytes(4, "little"), "image/webp", 16 * 32),
        (b"RIFF....WEBPVP8 " + b"." * 10 + b"\x10\0\x20\0", "image/webp", 16 * 32),
        (b"RIFF....WEBPnone", "image/webp", None),
        (b"\xff\xd8\xff\xe0\0\x00", "image/jpeg", None),
        (b"\xff\xd8no", "image/jpeg", None),
        (b"\x89PNG\r\n\x1a\n", "image/png", None),
        (b"BM", "image/bmp", None),
    ],
)
def test_pixels(content: bytes, mime_type: str, count: int | None) -> None:
    assert pixels(content, mime_type) == count


@given(st.binary(max_size=300), st.sampled_from(["image/png", "image/gif", "image/jpeg", "image/webp", "text/plain"]))
def test_no_bytes_make_it_fail(content: bytes, mime_type: str) -> None:
    for begun in (b"", b"RIFF", b"\xff\xd8", b"RIFF....WEBPVP8X", b"<!--"):
        by_content(begun + content, mime_type)
        pixels(begun + content, mime_type)


def test_large_and_hostile_files_cost_nothing() -> None:
    started = time.process_time()
    for content in (b"PK\x03\x04" + b"\0" * 20_000_000, b"<!--" * 5_000_000, b" " * 20_000_000, b"<!-- -->" * 2_000_000):
        by_content(content, "text/plain")
    pixels(b"\xff\xd8" + b"\xff\xe0\0\x02" * 5_000_000, "image/jpeg")
    pixels(b"\xff\xd8" + b"\xff" * 20_000_000, "image/jpeg")
    assert time.process_time() - started < 2
