"""The part of the wiring that tells people: robots, their stages and steps, and the watch."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from gateway import robots
from gateway.clock import Clock
from gateway.config import Settings
from gateway.endpoints import Endpoints
from gateway.flow import Gate, Stage, Step
from gateway.mailboxes import Mailboxes
from gateway.metrics import Metrics
from gateway.notice_watch import NoticeWatch
from gateway.notice_words import NoticeWords
from gateway.noticing import Noticing
from gateway.notify import Notify
from gateway.oplog import OperatorLog
from gateway.plan import Plan
from gateway.robot_letters import RobotLetters
from gateway.robots import Mailer, Poster, Robots
from gateway.store import jobs, notices
from gateway.store.engine import Store
from gateway.tracker import WebhookSender
from gateway.worker import again
from models.notice import Robot


def robots_of(
    settings: Settings, store: Store, clock: Clock, log: OperatorLog, plan: Plan, name: str, address: str, mailer: Mailer | None
) -> Robots:  # fmt: skip
    """All robots of these settings; those whose own keys will not do are off. Raises `BadSetting` where two have one name.

    name: the installation's; address: of the web server as seen from outside.
    """
    known = robots.of_settings(settings, list(plan.departments), lenient=True)

    def poster(robot: Robot) -> Poster:
        return WebhookSender(clock, allow_private_hosts=robot.allow_private_hosts, timeout_seconds=robot.timeout_seconds, concurrency=1)

    words = NoticeWords(plan.departments, ZoneInfo(settings.general.timezone), address)
    letters = RobotLetters(settings.mail.from_address, settings.mail.from_name or settings.mail.company, name)
    return Robots(known, store, clock, log, words, poster, mailer, letters)


class Alarms:
    """Everything of a gateway that tells people. stage: of notices, in `flow.py`; known: the endpoints of the settings."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        log: OperatorLog,
        metrics: Metrics,
        plan: Plan,
        robots: Robots,
        stage: Stage,
        known: Endpoints,
        mailboxes: Mailboxes,
    ) -> None:
        self.robots = robots
        self._store, self._clock, self._log, self._metrics = store, clock, log, metrics
        self._zone = ZoneInfo(settings.general.timezone)
        self.noticing = Noticing(store, list(robots.known.values()), self._zone)
        self.stages = [stage.of_queue(name) for name in robots.known]
        self.watch = NoticeWatch(
            store, clock, log, plan, self.noticing, settings.notices, list(known.served), list(known.off), mailboxes.health
        )

    def join(self, steps: dict[str, Step], gates: dict[str, Gate]) -> None:
        """Adds the steps of the robots, which are their own gates, to those of the worker."""
        for stage in self.stages:
            robot, now = self.robots.known[stage.queue], self._clock.now
            made = Notify(self._store, robot, self.robots, stage, again, self._zone, self._log, self._metrics, now)
            steps[stage.name] = gates[stage.name] = made

    def put_strangers_aside(self) -> None:
        """What waits for robots that are gone from the settings is parked; what failed is tried now, for they may have been put right.

        Robots that are off are told of in the log.
        """
        for name, robot in self.robots.known.items():
            if robot.off:
                self._log.write("RobotOff", robot=name, zh=robot.off[0], en=robot.off[1])
        now = self._clock.now()
        with self._store.write() as conn:
            notices.put_strangers_aside(conn, list(self.robots.known), now)
            for name in self.robots.known:
                jobs.hasten(conn, notices.KIND, name, now)
