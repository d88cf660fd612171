"""What a customer may send beside words: what a file is by its content, whatever its name or its sender claims."""

from __future__ import annotations

import re
import unicodedata

# What may be sent: how a file begins → what it is. Whatever is not here is refused: programs, pages, SVG, archives.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    # Word, Excel and PowerPoint of before 2007.
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"#!AMR", "audio/amr"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_OFFICE = {
    b"word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_MOST_NAME = 120
_CONTROLS = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")


def type_of(raw: bytes) -> str | None:
    """The media type of a file by its first bytes; None where it is none of those that may be sent."""
    head = raw[:16]
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        brand = head[8:12].lower()
        if brand in (b"heic", b"heix", b"mif1", b"heif"):
            return "image/heic"
        return "video/quicktime" if brand == b"qt  " else "audio/mp4" if brand[:3] == b"m4a" else "video/mp4"
    if head[:4] == b"PK\x03\x04":
        # An Office file names its parts near its beginning; any other archive is refused.
        whole = raw[:4096] + raw[-65_536:]
        return next((kind for part, kind in _OFFICE.items() if part in whole and b"[Content_Types].xml" in whole), None)
    return next((kind for begin, kind in _BEGINNINGS if raw.startswith(begin)), None)


def shown_name(told: str) -> str:
    """A name that can be shown: no folders, no controls, nothing that turns its direction; never used as a path."""
    clean = "".join(char for char in unicodedata.normalize("NFC", told) if unicodedata.category(char) not in ("Cf", "Cc", "Cs", "Co", "Cn"))
    clean = _CONTROLS.sub("_", clean).strip(" .")
    return clean[-_MOST_NAME:] or "file"
