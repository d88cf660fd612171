"""Judges events by their schemas, and a schema by the one that was published before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from gateway import event_schemas

_VALIDATORS = {name: Draft202012Validator(schema) for name, schema in event_schemas.made().items()}
# What only tells people something.
_WORDS = {"description", "$comment", "title", "$id", "$schema", "examples"}
# By these a value is bounded: from below, from above.
_LEAST, _MOST = {"minimum", "minLength", "minItems"}, {"maximum", "maxLength", "maxItems"}


def judge(payload: str) -> dict[str, Any]:
    """The event, if it is what its schema says. Raises AssertionError, which names the place."""
    event: dict[str, Any] = json.loads(payload)
    errors = [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in _VALIDATORS[f"{event['type']}.v1"].iter_errors(event)]
    assert not errors, errors
    return event


def breaks(new: dict[str, Any], old: dict[str, Any], where: str = "") -> Iterator[str]:
    """Where a consumer that was written against `old` could be hurt by what `new` allows."""
    for key in old.get("required", []):
        if key not in new.get("required", []):
            yield f"{where}.{key}: was always there"
    for key in new.get("required", []):
        # What was kept before the key existed must still be valid.
        if key not in old.get("required", []):
            yield f"{where}.{key}: old events do not have it"
    kinds = {"type": (_set(old.get("type")), _set(new.get("type")))}
    for key, (was, now) in kinds.items():
        if was and not now <= was:
            yield f"{where}: {key} may be {now - was}"
        if was and not was <= now:
            yield f"{where}: {key} {was - now} of old events is refused"
    if "enum" in old and set(new.get("enum", ["?"])) != set(old["enum"]):
        yield f"{where}: a closed list changed"
    for key in ("const", "pattern", "format", *_LEAST, *_MOST):
        if old.get(key) != new.get(key):
            yield f"{where}: {key} was {old.get(key)}, is {new.get(key)}"
    for key, was in old.get("properties", {}).items():
        if key not in new.get("properties", {}):
            yield f"{where}.{key}: is gone"
        else:
            yield from breaks(new["properties"][key], was, f"{where}.{key}")
    if "items" in old:
        yield from breaks(new.get("items", {}), old["items"], f"{where}[]")
    unknown = set(new) - _WORDS - {"required", "type", "enum", "const", "pattern", "format", "properties", "items", *_LEAST, *_MOST}
    if unknown:
        yield f"{where}: {unknown} is a word that nobody has thought about"


def _set(kind: Any) -> set[str]:
    return set(kind) if isinstance(kind, list) else {kind} if kind else set()
