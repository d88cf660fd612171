"""Names and types of attachments: safe to show, made up where a mail gives none.

Purpose: a file name is only ever shown, the file itself is stored under our own id; still, nothing in the name may deceive or do harm.
"""

from __future__ import annotations

import re

from connectors.mail_headers import one_line

FILE_NAME = re.compile(r"[^/\\:]{1,120}\.[A-Za-z0-9]{1,8}")
PATH = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f<>:\"|?*]")
LONGEST_NAME = 120


def safe_filename(name: str) -> tuple[str, bool]:
    """A name that can be shown and saved, and whether it was cut: no path, no controls, no invisible or turning characters, no leading dot,
    at most 120 characters with its extension kept; empty when nothing is left of it."""
    safe = PATH.split(one_line(name).strip().rstrip("/\\"))[-1]
    safe = _FORBIDDEN.sub("_", safe).strip().lstrip(".").strip()
    if not safe.strip("._ "):
        return "", False
    if len(safe) <= LONGEST_NAME:
        return safe, False
    stem, dot, extension = safe.rpartition(".")
    if not dot or len(extension) > 10:
        return safe[:LONGEST_NAME], True
    return f"{stem[: LONGEST_NAME - len(extension) - 1]}.{extension}", True


# What an attachment without a name is called, by its type.
_KINDS = {
    "text/plain": ("document", ".txt"),
    "text/html": ("document", ".html"),
    "text/calendar": ("invite", ".ics"),
    "text/csv": ("document", ".csv"),
    "text/rtf": ("document", ".rtf"),
    "text/vcard": ("contact", ".vcf"),
    "text/x-vcard": ("contact", ".vcf"),
    "text/rfc822-headers": ("headers", ".txt"),
    "image/jpeg": ("image", ".jpg"),
    "image/jpg": ("image", ".jpg"),
    "image/pjpeg": ("image", ".jpg"),
    "image/png": ("image", ".png"),
    "image/gif": ("image", ".gif"),
    "image/bmp": ("image", ".bmp"),
    "image/webp": ("image", ".webp"),
    "image/heic": ("image", ".heic"),
    "image/tiff": ("image", ".tif"),
    "image/svg+xml": ("image", ".svg"),
    "video/quicktime": ("video", ".mov"),
    "video/mp4": ("video", ".mp4"),
    "video/3gpp": ("video", ".3gp"),
    "audio/mpeg": ("audio", ".mp3"),
    "audio/amr": ("audio", ".amr"),
    "audio/mp4": ("audio", ".m4a"),
    "audio/x-m4a": ("audio", ".m4a"),
    "audio/wav": ("audio", ".wav"),
    "audio/x-wav": ("audio", ".wav"),
    "application/pdf": ("document", ".pdf"),
    "application/msword": ("document", ".doc"),
    "application/zip": ("archive", ".zip"),
    "application/ms-tnef": ("winmail", ".dat"),
    "application/vnd.ms-tnef": ("winmail", ".dat"),
    "application/pkcs7-mime": ("smime", ".p7m"),
    "application/x-pkcs7-mime": ("smime", ".p7m"),
    "application/pkcs7-signature": ("smime", ".p7s"),
    "application/x-pkcs7-signature": ("smime", ".p7s"),
    "application/pgp-signature": ("signature", ".asc"),
    "application/pgp-encrypted": ("version", ".txt"),
    "message/rfc822": ("mail", ".eml"),
    "message/global": ("mail", ".eml"),
    "message/delivery-status": ("delivery-status", ".txt"),
    "message/disposition-notification": ("disposition", ".txt"),
}
_MAIN_KINDS = {"text": ("document", ".txt"), "image": ("image", ""), "video": ("video", ""), "audio": ("audio", "")}


def kind_of(mime_type: str) -> tuple[str, str]:
    """What a file of this type is called when it has no name, and its extension with the dot, empty when unknown."""
    return _KINDS.get(mime_type) or _MAIN_KINDS.get(mime_type.partition("/")[0], ("file", ""))


_EXTENSIONS = frozenset(extension for _, extension in _KINDS.values()) | {
    *(".jpeg", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".wps", ".rar", ".7z", ".m4v", ".avi", ".tiff", ".aac", ".htm", ".xml", ".json"),
}


def known_extension(name: str) -> bool:
    """Whether `name` ends like a common file."""
    return "." in name and name[name.rindex(".") :].lower() in _EXTENSIONS
