"""The same events as CloudEvents 1.0: with their attributes beside the body, in one JSON text, or many in a batch."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

# What of visible ASCII stays as it is in a header (HTTP binding 3.1.3.2); space, quotation mark and percent are encoded, as all else.
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


class CloudEvents:
    """Writes events of one gateway. `installation`: its name; `base`: its address as seen from outside."""

    def __init__(self, installation: str, base: str) -> None:
        self._source, self._base = f"/jiesu/{installation}", base

    def event(self, payload: str) -> dict[str, Any]:
        """One event in the JSON format."""
        told = json.loads(payload)
        return {**self._attributes(told), "data": told["data"]}

    def structured(self, payload: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers with everything in the body."""
        return _spelt(self.event(payload)), {"content-type": f"{STRUCTURED}; charset=utf-8"}

    def binary(self, payload: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers with the attributes in headers."""
        body, kind, attributes = self.apart(payload)
        headers = {f"ce-{name}": quote(value, safe=_PLAIN) for name, value in attributes.items()}
        return body, headers | {"content-type": kind}

    def apart(self, payload: str) -> tuple[bytes, str, dict[str, str]]:
        """The body, its type, and the attributes as they are, which each protocol puts beside it in its own way."""
        told = json.loads(payload)
        attributes = self._attributes(told)
        kind = attributes.pop("datacontenttype")
        return _spelt(told["data"]), kind, attributes

    def batch(self, payloads: Sequence[str]) -> bytes:
        """Many in one text."""
        return _spelt([self.event(payload) for payload in payloads])

    def _attributes(self, told: Mapping[str, Any]) -> dict[str, str]:
        data = told["data"]
        found = {
            "specversion": "1.0",
            # A test is about nothing and has no event of its own; two of one moment are two all the same.
            "id": str(data.get("event_id") or f"test_{random.randbytes(12).hex()}"),
            "source": self._source,
            "type": str(told["type"]),
            "time": str(told["timestamp"]),
            "datacontenttype": "application/json",
        }
        if data.get("number"):
            found["subject"] = str(data["number"])
        if data.get("schema"):
            found["dataschema"] = f"{self._base}/api/v1/schemas/{data['schema']}.json"
        return found


def _spelt(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
