"""What a file is by its first bytes, whatever its name and sender say; and how large a picture would be when it is shown.

Purpose: a type that can be trusted a little, for people who are about to open a file of a stranger. Nothing is ever unpacked, expanded or
executed for it: a few kilobytes at both ends are looked at, so an archive that would fill a disk costs what any other file costs.

Why a table of our own: what customers of a sales office send is known, and a closed list can be tested row by row. Libraries know a
thousand types by rules of their own, some of which read on and on.
"""

from __future__ import annotations

import re
import struct

UNKNOWN = "application/octet-stream"

# Beginning, type. The first that fits counts.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    # Photos from phones and screens.
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
    # Papers.
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "text/rtf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    # Sound and film: dictation of phones, messengers' voice messages, screen recordings.
    (b"#!AMR", "audio/amr"),
    (b"#!SILK_V3", "audio/silk"),
    (b"\x02#!SILK_V3", "audio/silk"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"0&\xb2u\x8ef\xcf\x11", "video/x-ms-wmv"),
    # Archives.
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    # Programs.
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-elf"),
    (b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (b"#!/", "text/x-shellscript"),
    # What mailers wrap.
    (b'x\x9f>"', "application/ms-tnef"),
    (b"-----BEGIN PGP MESSAGE", "application/pgp-encrypted"),
    (b"-----BEGIN PGP SIGNATURE", "application/pgp-signature"),
)
# `RIFF`, four bytes of length, and then what it holds.
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
# The brand of an ISO media file (`ftyp`).
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"mif1", b"msf1", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"M4A ", b"M4B "), "audio/mp4"),
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6", b"3g2a"), "video/3gpp"),
    b"qt  ": "video/quicktime",
}
# The folder within the archive that tells which office program made it (ECMA-376-2).
_OFFICE = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<!--(?:(?!-->).){0,500}+-->\s*+){0,5}+<(?:!doctype\s+)?(html|head|body|script|iframe|svg|\?xml)\b",
    re.I | re.S,
)
_ENDS = 64 * 1024
_TEXT_LOOKED_AT = 8192

# Declared types that say more of a text than its bytes can, and are harmless: nothing shows them but as text.
_TEXTS = re.compile(r"text/(?!html|xml|javascript|x-amp-html)[a-z0-9.+-]{1,60}|message/[a-z0-9.-]{1,60}")


def type_of(content: bytes) -> str | None:
    """The type of a file by its bytes; `None` when they say nothing certain (a text, say)."""
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "video/mp4")
    for beginning, mime_type in _BEGINNINGS:
        if content.startswith(beginning):
            return _office(content) if mime_type == "application/zip" else mime_type
    markup = _MARKUP.match(content[:2048])
    if markup is None:
        return None
    if markup[1].lower() == b"svg" or (markup[1].lower() == b"?xml" and b"<svg" in content[:4096].lower()):
        return "image/svg+xml"
    return "text/xml" if markup[1].lower() == b"?xml" else "text/html"


def by_content(content: bytes, declared: str) -> str:
    """The type to go by: that of the bytes; where they are a text, the kind of text that was declared, else `application/octet-stream`."""
    found = type_of(content)
    if found is not None:
        return found
    if not content or not _is_text(content[:_TEXT_LOOKED_AT]):
        return UNKNOWN
    return declared if _TEXTS.fullmatch(declared) else "text/plain"


def _is_text(head: bytes) -> bool:
    """No controls but those of texts; every charset of mail but UTF-16 and UTF-32 keeps to that."""
    return not head.translate(None, bytes(range(32, 256)) + b"\t\n\r\x0c\x1b")


def _office(content: bytes) -> str:
    ends = content[:_ENDS] + content[-_ENDS:]
    if b"[Content_Types].xml" in ends:
        for folder, mime_type in _OFFICE:
            if folder in ends:
                return mime_type
    return "application/zip"


def pixels(content: bytes, mime_type: str) -> int | None:
    """How many pixels a picture has by its own header (PNG, GIF, JPEG, WebP); `None` when that cannot be told.

    A picture of a few kilobytes may want gigabytes when it is shown; whoever shows it asks this first.
    """
    try:
        size = _dimensions(content, mime_type)
    except (struct.error, IndexError):
        return None
    return size[0] * size[1] if size else None


def _dimensions(content: bytes, mime_type: str) -> tuple[int, int] | None:
    if mime_type == "image/png" and content[12:16] == b"IHDR":
        wide, high = struct.unpack(">II", content[16:24])
        return wide, high
    if mime_type == "image/gif":
        wide, high = struct.unpack("<HH", content[6:10])
        return wide, high
    if mime_type == "image/webp":
        return _webp(content)
    return _jpeg(content) if mime_type == "image/jpeg" else None


def _webp(content: bytes) -> tuple[int, int] | None:
    """RFC 9649 2.5 to 2.7."""
    kind = content[12:16]
    if kind == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8 ":
        wide, high = struct.unpack("<HH", content[26:30])
        return wide & 0x3FFF, high & 0x3FFF
    return None


def _jpeg(content: bytes) -> tuple[int, int] | None:
    """From segment to segment, at most a thousand of them, to the start of a frame (ITU-T T.81 B.2.2)."""
    at = 2
    for _ in range(1000):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            high, wide = struct.unpack(">HH", content[at + 5 : at + 9])
            return wide, high
        at += 2 + int(struct.unpack(">H", content[at + 2 : at + 4])[0])
    return None
