"""Who a site says that its user is, and what a file is by its content."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chat_files import shown_name, type_of
from connectors.chat_identity import signed, verified
from models.errors import Refused

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"
CLAIMS: dict[str, object] = {"id": "u1", "name": "林树", "phone": "13800001111", "exp": NOW.timestamp() + 60, "role": "admin"}


def test_a_signed_user_is_known_by_what_may_be_told_of_him() -> None:
    assert verified(SECRET, signed(SECRET, CLAIMS), NOW) == {"id": "u1", "name": "林树", "phone": "13800001111"}


def test_the_signature_is_the_one_of_the_documentation() -> None:
    # Made with: printf %s eyJpZCI6InUxIiwiZXhwIjo0MDAwMDAwMDAwfQ | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    told = "eyJpZCI6InUxIiwiZXhwIjo0MDAwMDAwMDAwfQ.e4e6250cde5f59f1863c631c4619e2fe2164efaae82b2e62cf59b9bc777cd056"
    assert verified(SECRET, told, NOW) == {"id": "u1"}


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("", "bad_identity"),
        (".", "bad_identity"),
        ("x.y", "bad_identity"),
        (signed(SECRET, CLAIMS)[:-1] + "0", "bad_identity"),
        ("A" + signed(SECRET, CLAIMS), "bad_identity"),
        (signed("another secret of as many characters", CLAIMS), "bad_identity"),
        (signed("", CLAIMS), "bad_identity"),
        (signed(SECRET, {"id": "u1"}), "bad_identity"),
        (signed(SECRET, {"exp": 4e9}), "bad_identity"),
        (signed(SECRET, {"id": "u1", "exp": "soon"}), "bad_identity"),
        (signed(SECRET, {"id": "u1", "exp": [1]}), "bad_identity"),
        (signed(SECRET, {"id": "u1", "exp": float("nan")}), "identity_expired"),
        (signed(SECRET, {"id": "u1", "exp": NOW.timestamp()}), "identity_expired"),
        (signed(SECRET, {"id": "u" * 9000, "exp": 4e9}), "bad_identity"),
        ("身份.身份", "bad_identity"),
    ],
)
def test_anything_else_is_nobody(told: str, code: str) -> None:
    # A last hexadecimal digit that was 0 already is another signature's business.
    if told == signed(SECRET, CLAIMS):
        told = told[:-1] + "1"
    with pytest.raises(Refused) as refused:
        verified(SECRET, told, NOW)
    assert refused.value.code == code


@given(st.text(max_size=200))
def test_whatever_is_told_is_refused_and_never_a_fault(told: str) -> None:
    with pytest.raises(Refused):
        verified(SECRET, told, NOW)


def archive(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name in names:
            out.writestr(name, "x")
    return made.getvalue()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(20), "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00", "video/mp4"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00", "audio/mp4"),
        (b"%PDF-1.7\n", "application/pdf"),
        (archive("[Content_Types].xml", "word/document.xml"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (archive("[Content_Types].xml", "xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (archive("word/document.xml"), None),
        (archive("evil.exe"), None),
        (b"MZ\x90\x00" + bytes(60), None),
        (b"\x7fELF" + bytes(60), None),
        (b"#!/bin/sh\n", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"<!doctype html><script>", None),
        (b"\xef\xbb\xbf<html>", None),
        (b"BM is no picture here", None),
        (b"", None),
        (b"RIFF", None),
    ],
)
def test_a_file_is_what_its_content_says(raw: bytes, kind: str | None) -> None:
    assert type_of(raw) == kind


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("漏水.jpg", "漏水.jpg"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("\u200b.htaccess", "htaccess"),
        ("a\r\nBcc: x.png", "aBcc_ x.png"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("", "file"),
        ("...", "file"),
        ("x" * 5000 + ".png", "x" * 116 + ".png"),
        ("\ud800.png", "png"),
    ],
)
def test_a_name_is_only_shown(told: str, shown: str) -> None:
    assert shown_name(told) == shown


@given(st.binary(max_size=300), st.text(max_size=300))
def test_any_bytes_and_any_name(raw: bytes, name: str) -> None:
    type_of(raw)
    found = shown_name(name)
    assert 0 < len(found) <= 120
    assert not set(found) & set('/\\:*?"<>|\r\n\x00')
