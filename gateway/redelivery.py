"""What operators do with deliveries and endpoints: look, send once more, switch off and on. Every change is told in the operator log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway import circuit
from gateway.clock import Clock
from gateway.endpoints import Endpoints
from gateway.keyring import Rotated
from gateway.oplog import OperatorLog
from gateway.store import deliveries, endpoints, jobs
from gateway.store.deliveries import DeliveryRow, Wanted
from gateway.store.endpoints import Recent, TroubleRow, Waiting
from gateway.store.engine import Store
from models.delivery import Outcome
from models.endpoint import Circuit, Endpoint
from models.errors import Refused


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How one endpoint stands. `disabled` is the reason; `lag_seconds` how long the oldest that waits has waited."""

    endpoint: Endpoint
    circuit: Circuit
    disabled: str | None
    trouble: TroubleRow | None
    waiting: Waiting
    recent: Recent
    lag_seconds: float
    old_secret_until: datetime | None
    # What is wrong with its own secret, key or password, in Chinese and English; then nothing is sent to it.
    off: tuple[str, str] | None = None
    # Of how many complaints an event was refused and is still here.
    refused: int = 0


class Redelivery:
    """For the console, the API and the command line."""

    def __init__(self, store: Store, clock: Clock, known: Endpoints, log: OperatorLog) -> None:
        self._store, self._clock, self._known, self._log = store, clock, known, log

    # ---- Endpoints -------------------------------------------------------------------------------------------------------------------

    def states(self) -> list[EndpointState]:
        """Every endpoint of the settings, with the tries of the last hour."""
        now = self._clock.now()
        with self._store.read() as conn:
            off, troubled = endpoints.disabled(conn), endpoints.troubled(conn)
            waiting, recent = endpoints.waiting(conn), endpoints.recent(conn, now - timedelta(hours=1))
            refused = endpoints.refused(conn)
        found = []
        for name, served in self._known.served.items():
            trouble, waits = troubled.get(name), waiting.get(name, Waiting())
            stands = Circuit.DISABLED if name in off else Circuit.OPEN if trouble and trouble.open else Circuit.CLOSED
            lag = max((now - waits.oldest).total_seconds(), 0.0) if waits.oldest and waits.waiting else 0.0
            tries, wrong = recent.get(name, Recent(0, 0, 0.0)), self._known.unusable(name)
            until = None if wrong else served.keyring.old_until()
            unusable = (wrong.zh, wrong.en) if wrong else None
            no = refused[name].complaints if name in refused else 0
            found.append(EndpointState(served.endpoint, stands, off.get(name), trouble, waits, tries, lag, until, unusable, no))
        return found

    def gauges(self) -> Mapping[str, tuple[Circuit, int, float]]:
        """By endpoint: how it stands, how many wait, and for how many seconds the oldest has."""
        return {one.endpoint.name: (one.circuit, one.waiting.waiting, one.lag_seconds) for one in self.states()}

    def troubles(self) -> list[str]:
        """The names of endpoints that somebody must look at: switched off, failing, refusing much, or not to be used as they are set."""
        with self._store.read() as conn:
            off, troubled, refused = endpoints.disabled(conn), endpoints.troubled(conn), endpoints.refused(conn)
        bad = {name for name, trouble in troubled.items() if trouble.open} | off.keys() | self._known.off.keys()
        bad |= {name for name, one in refused.items() if one.complaints >= circuit.REFUSES_MANY}
        return [name for name in self._known.served if name in bad]

    def test(self, name: str, *, by: str) -> Outcome:
        """Sends a test. Raises `Refused`."""
        outcome = self._known.test(name)
        self._log.write("EndpointTested", endpoint=name, code=outcome.code.value, status=outcome.status, by=by)
        return outcome

    def disable(self, name: str, *, by: str) -> None:
        """Switches an endpoint off; everything for it waits. Raises `Refused`."""
        self._known.get(name)
        with self._store.write() as conn:
            endpoints.disable(self._store, conn, name, f"{by} 停用 / switched off by {by}", self._clock.now())
        self._log.write("EndpointDisabled", endpoint=name, by=by)

    def enable(self, name: str, *, by: str) -> None:
        """Switches an endpoint on; what waits is sent. Raises `Refused`."""
        self._known.get(name)
        with self._store.write() as conn:
            endpoints.enable(conn, name)
            jobs.hasten(conn, "deliver", name, self._clock.now())
        self._log.write("EndpointEnabled", endpoint=name, by=by)

    def rotate(self, name: str, overlap: timedelta, *, by: str, end_former: bool = False) -> Rotated:
        """A new secret, and until when the former one signs too. Raises `Refused`.

        end_former: one that still holds from the change before ends now; else that is refused.
        """
        served = self._known.get(name)
        if wrong := self._known.unusable(name):
            raise Refused("endpoint_off", wrong.zh, wrong.en)
        made = served.keyring.rotate(overlap, end_former=end_former)
        self._log.write("SecretRotated", endpoint=name, until=made.until.isoformat(timespec="seconds"), by=by)
        return made

    # ---- Deliveries ------------------------------------------------------------------------------------------------------------------

    def find(self, wanted: Wanted, limit: int) -> list[DeliveryRow]:
        """The newest of those that are wanted, with every try."""
        with self._store.read() as conn:
            return deliveries.find(conn, wanted, limit)

    def one(self, delivery_id: int, *, by: str = "") -> int:
        """Makes one delivery once more. Raises `Refused` where there is none."""
        return self._again([delivery_id], by)

    def all_of(self, wanted: Wanted, *, by: str = "") -> int:
        """Makes all of these once more, oldest first. Returns how many. Raises `Refused` where nothing says which."""
        if wanted == Wanted(endpoint=wanted.endpoint):
            raise Refused("no_range", "请说明范围：时间、编号、状态或类型", "say which: by time, numbers, state or type")
        with self._store.read() as conn:
            ids = deliveries.ids_of(conn, wanted)
        return self._again(ids, by) if ids else 0

    def _again(self, ids: Sequence[int], by: str) -> int:
        count = 0
        for start in range(0, len(ids), deliveries.AT_ONCE):
            # One by one, so that nothing that comes in has to wait for all of them.
            with self._store.write() as conn:
                count += deliveries.again(conn, ids[start : start + deliveries.AT_ONCE], self._clock.now())
        if not count:
            raise Refused("no_such_delivery", "没有这次投递", "there is no such delivery")
        self._log.write("Redelivered", count=count, by=by)
        return count
