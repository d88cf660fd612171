"""The bytes of one mail out of the stream of an SMTP connection: where it ends, whether it is too large, and its dots unstuffed.

The library reads line by line, which costs most of what receiving a mail costs. This reads by the piece and gives the very same bytes: the
mail ends at CR LF . CR LF and at nothing else, whatever smugglers write (RFC 5321 4.1.1.4, CVE-2024-27305).
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


class MailReader:
    """Reads one mail after DATA. `most_bytes` is counted as sent, with stuffed dots (RFC 1870 5)."""

    __slots__ = ("_data", "_most_bytes", "too_large")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        # The answer to DATA has just ended a line, so that a dot at once is an empty mail.
        self._data = bytearray(b"\r\n")
        self.too_large = False

    def feed(self, piece: bytes) -> bytes | None:
        """Takes a piece. Returns what came after the end of the mail; None while the end has not come."""
        data = self._data
        # The end may lie across two pieces.
        looked_at = max(0, len(data) - len(_END) + 1)
        data += piece
        end = data.find(_END, looked_at)
        if end < 0:
            # The last two bytes may be those of the end that are none of the mail's.
            if len(data) - 4 > self._most_bytes:
                # Heard out to its end, so that the sender reads why; but not kept.
                self.too_large = True
                del data[: -len(_END) + 1]
            return None
        rest = bytes(data[end + len(_END) :])
        del data[end + 2 :]
        self.too_large = self.too_large or len(data) - 2 > self._most_bytes
        return rest

    def mail(self) -> bytes:
        """The mail, without the dots that were stuffed into it (RFC 5321 4.5.2). Only once it has ended and is not too large."""
        # Each line begins after a CR LF, also the first, which has the one that was put before it.
        return bytes(self._data.replace(b"\r\n.", b"\r\n")[2:])
