"""The mails that are sent: of one size, each unlike any other, built as mail programs in China build them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from classifiers import corpus

# Size of a whole mail, in bytes.
SIZE = 5_000
# Characters of the complaint in it; its HTML twin and the headers take the rest.
_CHARS = 280


def texts(count: int) -> list[str]:
    """Complaints of the shipped corpus, as long as a mail of ours has room for."""
    found = [example.query.said for example in corpus.shipped_corpus() if example.register in ("mail", "letter")]
    step = max(1, len(found) // count)
    return [text[:_CHARS] for text in found[::step][:count]]


class Mails:
    """Makes mails; `run` sets those of one load generator apart from those of all others, for equal bytes would be one complaint."""

    def __init__(self, run: str, bodies: Sequence[str] | None = None) -> None:
        self._run = run
        self._made = 0
        self._frames = [_frame(text) for text in bodies or texts(100)]

    def next(self) -> bytes:
        """A mail of about `SIZE` bytes, ended by CRLF; none of its lines begins with a dot."""
        self._made += 1
        head, rest = self._frames[self._made % len(self._frames)]
        return head + f"Message-ID: <{self._run}.{self._made:08d}@bench.example>\r\n".encode() + rest


def _frame(text: str) -> tuple[bytes, bytes]:
    """What stands before and behind the Message-ID."""
    subject = base64.b64encode(text[:12].encode()).decode()
    head = (
        "Received: from mx.bench.example (mx.bench.example [192.0.2.7]) by relay.bench.example with ESMTPS id 4XyZ; "
        "Mon, 23 Nov 2026 09:00:00 +0800\r\n"
        "From: =?utf-8?B?5p6X5qCR?= <lin@bench.example>\r\nTo: <tousu@jiesu.example>\r\n"
        f"Subject: =?utf-8?B?{subject}?=\r\nDate: Mon, 23 Nov 2026 09:00:00 +0800\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="=_bench"\r\n'
    )
    html = "<html><body>" + "".join(f"<div>{line}</div>" for line in text.splitlines()) + "</body></html>"
    part = "--=_bench\r\nContent-Type: text/{}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n"
    plain = part.format("plain", _base64(text))

    def whole(style: str) -> str:
        return f"\r\n{plain}{part.format('html', _base64(html.replace('<body>', f'<style>{style}</style><body>')))}--=_bench--\r\n"

    lacking = SIZE - 60 - len(head) - len(whole(""))
    style = ".x{margin:0}" * max(0, int(lacking * 0.74) // 12)
    return head.encode(), whole(style).encode()


def _base64(text: str) -> str:
    return base64.encodebytes(text.encode()).decode().strip().replace("\n", "\r\n")
