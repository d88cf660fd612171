"""Makes TNEF as Outlook does (MS-OXTNEF), for tests."""

from __future__ import annotations

import struct

STRING, UNICODE, BINARY, OBJECT, LONG = 0x001E, 0x001F, 0x0102, 0x000D, 0x0003
LONG_NAME, MEDIA_TYPE, CONTENT_ID, BYTES, HTML, PLAIN = 0x3707, 0x370E, 0x3712, 0x3701, 0x1013, 0x1000
Property = tuple[int, int, bytes]


def attribute(level: int, number: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def properties(*each: Property) -> bytes:
    block = struct.pack("<I", len(each))
    for kind, number, value in each:
        block += struct.pack("<HH", kind, number)
        if number >= 0x8000:
            name = "x-own\0".encode("utf-16-le")
            block += b"\x29\x03\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46" + struct.pack("<II", 1, len(name)) + name + b"\0" * (-len(name) % 4)
        block += value if kind == LONG else struct.pack("<II", 1, len(value)) + value + b"\0" * (-len(value) % 4)
    return block


def tnef(*files: tuple[str, bytes, tuple[Property, ...]], letter: tuple[Property, ...] = (), codepage: int = 936) -> bytes:
    """Files by short name, bytes and further properties; the letter's own properties."""
    made = b"\x78\x9f\x3e\x22\x01\x00" + attribute(1, 0x00089006, struct.pack("<I", 0x10000))
    made += attribute(1, 0x00069007, struct.pack("<II", codepage, 0))
    if letter:
        made += attribute(1, 0x00069003, properties((LONG, 0x8001, b"\0" * 4), (LONG, 0x0E07, b"\0" * 4), *letter))
    for name, content, more in files:
        made += attribute(2, 0x00069002, b"\1\0" + b"\xff" * 4 + b"\0" * 8)
        made += attribute(2, 0x00018010, name.encode(f"cp{codepage}") + b"\0")
        made += attribute(2, 0x0006800F, content)
        if more:
            made += attribute(2, 0x00069005, properties(*more))
    return made
