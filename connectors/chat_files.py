"""What a customer may send beside words: what a file is by its content, whatever its name or its sender claims."""

from __future__ import annotations

import re
import unicodedata

from connectors import file_types

# What may be sent. Whatever is not here is refused: programs, pages, SVG, archives.
_MAY_BE_SENT = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/heic",
        "application/pdf",
        # Word, Excel and PowerPoint, those of before 2007 first.
        "application/x-ole-storage",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "audio/mpeg",
        "audio/aac",
        "audio/amr",
        "audio/ogg",
        "audio/wav",
        "audio/mp4",
        "video/mp4",
        "video/3gpp",
        "video/quicktime",
        "video/x-matroska",
        "video/x-msvideo",
    }
)
_MOST_NAME = 120
_CONTROLS = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")


def type_of(raw: bytes) -> str | None:
    """The media type of a file by its first bytes; None where it is none of those that may be sent."""
    found = file_types.type_of(raw)
    return found if found in _MAY_BE_SENT else None


def shown_name(told: str) -> str:
    """A name that can be shown: no folders, no controls, nothing that turns its direction; never used as a path."""
    clean = "".join(char for char in unicodedata.normalize("NFC", told) if unicodedata.category(char) not in ("Cf", "Cc", "Cs", "Co", "Cn"))
    clean = _CONTROLS.sub("_", clean).strip(" .")
    return clean[-_MOST_NAME:] or "file"
