"""Which files belong to one call: a transcript, its recording, and the sidecar that tells of both, known by their names' stems."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from connectors.call_data import RECORDINGS

# `call.json` and `call.meta.json` may be sidecars of `call.txt`, and so may `call.txt.json`.
_META = ".meta"


def is_recording(name: str) -> bool:
    """Whether the name is a recording's."""
    return PurePosixPath(name).suffix.lower() in RECORDINGS


def may_be_sidecar(name: str) -> bool:
    """Whether the name could be a sidecar's; its content decides."""
    return name.lower().endswith(".json")


def stem(name: str) -> str:
    """What the files of one call have in common: the name without its last ending, and without `.meta`."""
    found = PurePosixPath(name).stem
    return found[: -len(_META)] if found.lower().endswith(_META) else found


class Neighbours:
    """The names of one folder, and which of them go together. Made once for a look, because folders hold tens of thousands."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._by_stem: dict[str, list[str]] = {}
        if any(may_be_sidecar(name) or is_recording(name) for name in self._names):
            for name in sorted(self._names):
                self._by_stem.setdefault(stem(name), []).append(name)

    def sidecars(self, name: str) -> list[str]:
        """What may be a sidecar of this transcript or recording, the likeliest first."""
        mine = stem(name)
        wanted = dict.fromkeys((f"{name}.json", f"{mine}{_META}.json", f"{mine}.json"))
        return [one for one in wanted if one != name and one in self._names]

    def recordings(self, name: str) -> list[str]:
        """The recordings of the same call."""
        return [one for one in self._by_stem.get(stem(name), ()) if one != name and is_recording(one)]

    def partners(self, sidecar: str) -> list[str]:
        """What this sidecar may belong to."""
        # `call.txt.json` has the stem `call.txt`, which is itself the name of a file.
        near = [*self._by_stem.get(stem(sidecar), ()), *(one for one in (stem(sidecar),) if one in self._names)]
        return [one for one in dict.fromkeys(near) if one != sidecar and sidecar in self.sidecars(one)]
