"""What console, API and command line may ask of the learning loop: trained models, the retraining under way, promote, go back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.store import retrainings, trained
from gateway.store.engine import Store
from gateway.store.retrainings import Retraining
from gateway.store.trained import CANDIDATE, CHAMPION, REJECTED, Listed
from models.errors import Refused

# Longest name and reason that are kept.
MOST_BY, MOST_REASON = 80, 500

# What a retraining is doing, in words for people.
DOING: Mapping[str, tuple[str, str]] = {
    "waiting": ("等待开始", "waiting to start"),
    "read": ("读取文本", "reading the texts"),
    "cross-validate": ("交叉验证", "cross-validating"),
    "fit": ("训练", "fitting"),
    "pack": ("保存", "packing"),
    "gate": ("与现用模型比较", "comparing with the champion"),
    "done": ("完成", "done"),
}
STATES: Mapping[str, tuple[str, str]] = {
    "candidate": ("候选", "candidate"),
    "champion": ("使用中", "champion"),
    "retired": ("曾使用", "retired"),
    "rejected": ("未通过", "rejected"),
}


class Learning:
    """Answers with plain dicts of JSON values, fit for pages, programs and terminals. Threads may share it."""

    def __init__(self, store: Store, clock: Clock, log: OperatorLog) -> None:
        self._store, self._clock, self._log = store, clock, log

    def models(self) -> list[dict[str, Any]]:
        """All trained models, the newest first: `version`, `state` (`candidate`, `champion`, `retired`, `rejected`), `state_zh`,
        `added_at`, `crowned_at`, `texts`, `own` (examples of this company in it), `figures` (cross-validated), `gate`: null for what
        shipped, else `passed`, `against`, `reasons` (`zh`, `en`, `ok`)."""
        with self._store.read() as conn:
            return [_short(one) for one in trained.listed(conn)]

    def model(self, version: str) -> dict[str, Any]:
        """One trained model as in `models`, with its whole `card` and the gate's whole verdict (`gateway.gate`).

        Raises `Refused` (`no_such_model`) for an unknown version.
        """
        with self._store.read() as conn:
            return _whole(_found(trained.find(conn, version), version))

    def current(self) -> dict[str, Any] | None:
        """The retraining that waits or runs: `id`, `state`, `asked_at`, `by`, `doing`, `doing_zh`, `doing_en`, `done` (0 to 1)."""
        with self._store.read() as conn:
            found = retrainings.current(conn)
        return told(found) if found else None

    def history(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest retrainings, ended ones too, as `current`; besides `finished_at`, `version`, `outcome` (`zh`, `en`, `passed`)."""
        with self._store.read() as conn:
            return [told(one) for one in retrainings.last(conn, limit)]

    def retraining(self, id: int) -> dict[str, Any]:
        """One retraining as in `history`. Raises `Refused` (`no_such_retraining`)."""
        with self._store.read() as conn:
            found = retrainings.find(conn, id)
        if found is None:
            raise Refused("no_such_retraining", f"没有编号为 {id} 的重新训练", f"there is no retraining {id}")
        return told(found)

    def ask(self, by: str) -> dict[str, Any]:
        """Asks for a retraining, which a running gateway begins within seconds. As `current`, and `new`: false where one was open already.

        Raises `Refused` (`bad_by`) where nobody is named.
        """
        by = _name(by)
        with self._store.write() as conn:
            found, new = retrainings.ask(self._store, conn, by, self._clock.now())
        if new:
            self._log.write("RetrainingAsked", retraining=found.id)
        return told(found) | {"new": new}

    def promote(self, version: str, by: str, anyway: str = "") -> dict[str, Any]:
        """Makes this version the champion, for every node within seconds. As `model`.

        anyway: why, where the gate has rejected it or compared it with another champion than the present one; kept with its verdict.

        Raises `Refused`: `no_such_model`, `is_champion`, `rejected`, `stale_gate`, `bad_by`, `bad_reason`.
        """
        by, anyway = _name(by), _reason(anyway)
        now = self._clock.now()
        with self._store.write() as conn:
            trained.alone(self._store, conn)
            one, was = _found(trained.find(conn, version), version), trained.champion_version(conn)
            if one.state == CHAMPION:
                raise Refused("is_champion", f"{version} 已在使用", f"{version} is the champion already")
            if not anyway:
                _may_answer(one, was)
            gate = dict(one.gate or {}) or None
            if anyway:
                gate = (gate or {}) | {"anyway": {"by": by, "reason": anyway, "at": _time(now)}}
            trained.promote(conn, one.version, now, gate)
            done = _whole(_found(trained.find(conn, version), version))
        self._log.write("Promoted", trained_model=version, instead_of=was, anyway=bool(anyway))
        return done

    def roll_back(self, by: str) -> dict[str, Any]:
        """Lets the trained model before the champion answer again. As `model`. Raises `Refused`: `nothing_before`, `bad_by`."""
        _name(by)
        with self._store.write() as conn:
            trained.alone(self._store, conn)
            was, back = trained.champion_version(conn), trained.before(conn)
            if back is None:
                raise Refused(
                    "nothing_before", "此前没有使用过别的模型，无法退回", "no other model answered before; there is nothing to go back to"
                )
            trained.go_back(conn, back)
            done = _whole(_found(trained.find(conn, back), back))
        self._log.write("RolledBack", trained_model=back, instead_of=was)
        return done


def told(one: Retraining) -> dict[str, Any]:
    """A retraining as JSON values."""
    zh, en = DOING.get(one.doing, (one.doing, one.doing))
    return {
        "id": one.id,
        "state": one.state,
        "asked_at": _time(one.asked_at),
        "by": one.by,
        "doing": one.doing,
        "doing_zh": zh,
        "doing_en": en,
        "done": round(one.done, 3),
        "finished_at": _time(one.finished_at),
        "version": one.version,
        "outcome": one.outcome,
    }


def _may_answer(one: Listed, champion: str | None) -> None:
    """Raises `Refused` where only a reason of its own lets this version answer."""
    if one.state == REJECTED:
        raise Refused(
            "rejected",
            f"{one.version} 没有通过把关（jiesu trained show {one.version} 说明原因）；仍要使用，请写明理由（--anyway 理由）",
            f"{one.version} did not pass the gate (jiesu trained show {one.version} says why); to use it anyway give a reason (--anyway)",
        )
    if one.state == CANDIDATE and one.gate and one.gate.get("against") != champion:
        raise Refused(
            "stale_gate",
            f"{one.version} 是与 {one.gate.get('against')} 比较的，现用的已是 {champion}；请重新训练，或写明理由（--anyway 理由）",
            f"{one.version} was compared with {one.gate.get('against')}, but {champion} answers now; retrain, or give a reason (--anyway)",
        )


def _found(one: Listed | None, version: str) -> Listed:
    if one is None:
        raise Refused(
            "no_such_model",
            f"没有版本为 {version[:64]} 的训练模型；jiesu trained list 列出全部",
            f"there is no trained model {version[:64]}; jiesu trained list shows all",
        )
    return one


def _short(one: Listed) -> dict[str, Any]:
    zh, en = STATES.get(one.state, (one.state, one.state))
    gate = one.gate
    return {
        "version": one.version,
        "state": one.state,
        "state_zh": zh,
        "state_en": en,
        "added_at": _time(one.added_at),
        "crowned_at": _time(one.crowned_at),
        "texts": one.card.get("corpus", {}).get("texts"),
        "own": sum((one.card.get("own") or {}).get("texts", {}).values()),
        "figures": (one.card.get("figures") or {}).get("all"),
        "gate": {key: gate.get(key) for key in ("passed", "against", "at", "reasons", "anyway")} if gate else None,
    }


def _whole(one: Listed) -> dict[str, Any]:
    return _short(one) | {"card": dict(one.card), "gate": dict(one.gate) if one.gate else None}


def _name(by: str) -> str:
    by = by.strip()
    if not by or len(by) > MOST_BY:
        raise Refused("bad_by", f"by：请写明是谁（1–{MOST_BY} 字）", f"by: say who (1 to {MOST_BY} characters)")
    return by


def _reason(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > MOST_REASON:
        raise Refused("bad_reason", f"理由最多 {MOST_REASON} 字", f"a reason has {MOST_REASON} characters at most")
    return reason


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
