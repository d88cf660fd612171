"""A real DNS server on the loopback, with the zones that a test gives it and one field for each way it can fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer:
    """records: `{("x.example", "TXT"): ["v=spf1 -all"]}`. silent: answers nothing; broken: answers SERVFAIL. asked: all questions."""

    def __init__(self, records: Mapping[tuple[str, str], Sequence[str]] | None = None) -> None:
        self.records = dict(records or {})
        self.silent = self.broken = False
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.address = f"127.0.0.1#{self._socket.getsockname()[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                asked, client = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            answer = self._answer(dns.message.from_wire(asked))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), client)

    def _answer(self, asked: dns.message.Message) -> dns.message.Message | None:
        question = asked.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent:
            return None
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA | dns.flags.AA
        if self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        found = self.records.get((name, kind))
        if found is None:
            if not any(known == name for known, _ in self.records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            return answer
        texts = [" ".join(f'"{one[at : at + 250]}"' for at in range(0, len(one), 250)) for one in found] if kind == "TXT" else found
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        return answer
