"""A trained model as bytes: skops only, never pickle; the same model gives the same bytes, and other bytes are refused.

The running gateway reads the file by `parts`, which knows the few kinds of value that a trained model of ours holds and needs neither
skops nor scikit-learn (1.3 s and 100 MB at start). `unpack` is skops' own reading, with the estimators, for whoever trains or studies.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Every type outside skops' own defaults that a trained model may hold. Nothing is ever added to this list at run time.
TRUSTED = ("classifiers.features.Features", "classifiers.blend.Blend", "classifiers.linear.OneVsRest")

# What holds them together; skops trusts it by itself.
_PIPELINE = "sklearn.pipeline.Pipeline"

_SCHEMA = "schema.json"


class BadTrainedModel(ValueError):
    """The bytes are not the trained model that the card describes, or hold what a trained model may not hold: do not load them."""


def pack(content: object) -> bytes:
    """`content` in skops' format, the same bytes for the same content.

    skops names array files and objects by memory address and stamps entries with the time of day; both are replaced here.
    """
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(content))) as made:
        schema = json.loads(made.read(_SCHEMA))
        entries = {name: made.read(name) for name in made.namelist() if name != _SCHEMA}
    names: dict[str, str] = {}
    ids: dict[int, int] = {}
    schema = _renamed(schema, names, ids)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression=zipfile.ZIP_STORED) as archive:
        for name, data in sorted((names[old], data) for old, data in entries.items() if old in names):
            archive.writestr(_entry(name), data)
        archive.writestr(_entry(_SCHEMA), json.dumps(schema, sort_keys=True, ensure_ascii=True))
    return target.getvalue()


def digest(data: bytes) -> str:
    """SHA-256 of a trained model's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def unpack(data: bytes, sha256: object) -> Any:
    """What was packed. Raises `BadTrainedModel` when the hash differs, a type is not trusted, or the bytes make no sense."""
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    _refuse_others(data, sha256)
    try:
        untrusted = set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED)
        if untrusted:
            raise BadTrainedModel(f"the trained model holds types that are not trusted: {', '.join(sorted(untrusted))}")
        return skops.io.loads(data, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise BadTrainedModel(f"the trained model holds types that are not trusted: {error}") from error
    except BadTrainedModel:
        raise
    except Exception as error:
        # Whatever breaks inside skops on bytes that made somebody's hash is still only a bad file to us.
        raise BadTrainedModel(f"the trained model cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Part:
    """An estimator as it was stored: `kind` is its class (`classifiers.blend.Blend`), `values` its attributes."""

    kind: str
    values: Mapping[str, Any]


def parts(data: bytes, sha256: object) -> Any:
    """What was packed, with a `Part` for each estimator. Raises `BadTrainedModel` as `unpack` does; nothing is imported or called."""
    _refuse_others(data, sha256)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                # We never compress; what is small here and large in memory is not ours.
                raise BadTrainedModel("the trained model is compressed")
            return _value(json.loads(archive.read(_SCHEMA)), archive)
    except BadTrainedModel:
        raise
    except Exception as error:
        # Whatever breaks on bytes that made somebody's hash is still only a bad file to us.
        raise BadTrainedModel(f"the trained model cannot be read: {error}") from error


def _refuse_others(data: bytes, sha256: object) -> None:
    if digest(data) != sha256:
        raise BadTrainedModel("the trained model's bytes do not have the hash that its card names")


def _value(node: Mapping[str, Any], archive: zipfile.ZipFile) -> Any:
    loader, kind = node["__loader__"], f"{node['__module__']}.{node['__class__']}"
    if loader == "JsonNode" and kind == "builtins.str":
        return json.loads(node["content"])
    if loader == "DictNode" and kind == "builtins.dict":
        return {key: _value(value, archive) for key, value in node["content"].items()}
    if loader in ("ListNode", "TupleNode") and kind in ("builtins.list", "builtins.tuple"):
        return [_value(value, archive) for value in node["content"]]
    if loader == "NdArrayNode" and kind == "numpy.ndarray" and node["type"] == "numpy":
        return np.load(io.BytesIO(archive.read(node["file"])), allow_pickle=False)
    if loader == "ObjectNode" and kind in (*TRUSTED, _PIPELINE):
        return Part(kind, _value(node["content"], archive))
    raise BadTrainedModel(f"the trained model holds types that are not trusted: {kind}")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o600 << 16
    entry.create_system = 3
    return entry


def _renamed(node: Any, names: dict[str, str], ids: dict[int, int]) -> Any:
    """The schema with its objects and files numbered in order of first appearance."""
    if isinstance(node, dict):
        result: dict[str, Any] = {}
        for key in node:
            value = node[key]
            if key == "__id__" and isinstance(value, int):
                result[key] = ids.setdefault(value, len(ids))
            elif key == "file" and isinstance(value, str):
                ending = value.rpartition(".")[2]
                result[key] = names.setdefault(value, f"{len(names):04d}.{ending}")
            else:
                result[key] = _renamed(value, names, ids)
        return result
    if isinstance(node, list):
        return [_renamed(value, names, ids) for value in node]
    return node
