"""The robots of the settings: who tells people what, by which means; one try of telling; how each does; and a test of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from gateway import config, home, robot_answers, robot_formats
from gateway.clock import Clock
from gateway.config import Settings
from gateway.keyring import secret_bytes
from gateway.notice_words import Message, NoticeWords, notice_json, outcome_json
from gateway.oplog import OperatorLog
from gateway.robot_letters import RobotLetters
from gateway.sections import EVERY
from gateway.sections_robots import RobotSection
from gateway.store import jobs, notices
from gateway.store.engine import Store
from models.answer import Letter, MailOutcome, box_of
from models.delivery import Outcome, Outgoing
from models.errors import BadSetting, Refused
from models.notice import MAKERS_LIMIT, USUAL_RATE, Notice, NoticeKind, Quiet, Robot, RobotKind, TellCode, TellOutcome

# So many notices stand in full in a message: a group reads few lines, a mail more.
_MOST_SHOWN = {RobotKind.EMAIL: 50}
_USUALLY_SHOWN = 8
# DingTalk explains in some 400 bytes why it says no.
_ANSWER_BYTES = 4096


class Poster(Protocol):
    """The HTTP client (`gateway.tracker`)."""

    def send(self, outgoing: Sequence[Outgoing]) -> list[Outcome]:
        """Posts events, signed by Standard Webhooks."""
        ...

    def post(self, url: str, body: bytes, *, most_answer: int) -> Outcome:
        """Posts one body as it is."""
        ...


class Mailer(Protocol):
    """Hands letters to a mail server."""

    def send(self, letters: Sequence[Letter]) -> list[MailOutcome]:
        """One outcome for each, in order; never raises."""
        ...


# Makes the HTTP client of one robot.
MakePoster = Callable[[Robot], Poster]


def of_settings(settings: Settings, departments: Sequence[str], *, lenient: bool = False) -> list[Robot]:
    """Every robot, whole. departments: the plan's codes. Raises `BadSetting`, which names robot, key and remedy.

    lenient: a robot whose own keys will not do is off and says why, so that its mistake, or a file that went missing, stops no gateway.
    """
    found = [_robot(settings, one, departments, lenient=lenient) for one in settings.robot]
    names = [robot.name for robot in found]
    for name in names:
        if names.count(name) > 1:
            raise BadSetting("robot.name", f"“{name}” 用了两次，请各取一个名称", f"'{name}' stands twice; give each its own name")
    return found


def _robot(settings: Settings, one: RobotSection, departments: Sequence[str], *, lenient: bool) -> Robot:
    url, secret, off = "", "", None
    try:
        if one.kind is RobotKind.EMAIL:
            _check_mail(settings, one)
        else:
            url, secret = _address(settings, one), _secret(settings, one)
        _check_limit(one)
        _check_departments(one, departments)
    except BadSetting as error:
        if not lenient:
            raise
        off = (error.zh, error.en)
    kinds = frozenset(NoticeKind) if EVERY in one.notices else frozenset(map(NoticeKind, one.notices))
    return Robot(
        one.name,
        one.kind,
        url,
        secret,
        tuple(one.recipients),
        kinds,
        frozenset(NoticeKind(name) for name in one.notices if name != EVERY),
        tuple(one.departments),
        tuple(one.classes),
        tuple(one.estates),
        tuple(one.risks),
        one.per_minute or USUAL_RATE[one.kind],
        one.language,
        Quiet(_minutes(one.quiet[:5]), _minutes(one.quiet[6:])) if one.quiet else None,
        one.timeout_seconds,
        tuple(one.allow_private_hosts),
        off,
    )


def _minutes(spelt: str) -> int:
    return int(spelt[:2]) * 60 + int(spelt[3:])


def _check_mail(settings: Settings, one: RobotSection) -> None:
    if not one.recipients:
        raise BadSetting(f"robot.{one.name}.recipients", "请写至少一个收件人", "name one recipient at least")
    ours = {box_of(address) for address in (settings.mail.from_address, *settings.mail.other_addresses)}
    if back := [address for address in one.recipients if box_of(address) in ours]:
        raise BadSetting(
            f"robot.{one.name}.recipients",
            f"{back[0]} 是受理投诉的地址，提醒会被当作来件；请换成人员的邮箱",
            f"complaints are taken in at {back[0]}: a notice would come back as one; name people's boxes",
        )
    if not settings.mail.enabled:
        raise BadSetting(
            f"robot.{one.name}.kind",
            "邮件提醒经 [mail] 的服务器发出，请先启用 mail.enabled",
            "notices by mail leave by the server of [mail]; set mail.enabled first",
        )


def _address(settings: Settings, one: RobotSection) -> str:
    key = f"robot.{one.name}.url"
    url = one.url or config.secret_file(settings.secrets_folder / f"robot-{one.name}.url", key)
    if not url.startswith(("https://", "http://")) or not urlsplit(url).hostname:
        # The file may hold anything; what it holds is not shown.
        raise BadSetting(key, "应以 https:// 开头并带主机名", "must begin with https:// and have a host")
    wanted = {RobotKind.WECOM: "key", RobotKind.DINGTALK: "access_token"}.get(one.kind)
    if wanted and not parse_qs(urlsplit(url).query).get(wanted):
        raise BadSetting(
            key,
            f"地址中没有 {wanted}=…；请从群机器人的设置中整段复制 Webhook 地址",
            f"the address has no {wanted}=…; copy it whole from the robot's settings",
        )
    return url


def _secret(settings: Settings, one: RobotSection) -> str:
    key, file = f"robot.{one.name}.secret", settings.secrets_folder / f"robot-{one.name}.secret"
    if one.kind is RobotKind.WEBHOOK:
        found = one.secret or home.secret(settings.secrets_folder, file.name, home.webhook_secret)
        secret_bytes(found, key)
        return found
    if one.kind is RobotKind.WECOM and one.secret:
        raise BadSetting(key, "企业微信群机器人没有签名密钥，请删去", "WeCom's robots have no signing secret; take it out")
    if one.secret or not file.exists() or one.kind is RobotKind.WECOM:
        return one.secret
    return config.secret_file(file, key)


def _check_limit(one: RobotSection) -> None:
    limit = MAKERS_LIMIT[one.kind]
    if limit is not None and one.per_minute > limit:
        raise BadSetting(
            f"robot.{one.name}.per_minute",
            f"“{one.per_minute}” 不行，{one.kind.value} 每分钟最多 {limit} 条",
            f"'{one.per_minute}' will not do: {one.kind.value} takes {limit} a minute at most",
        )


def _check_departments(one: RobotSection, departments: Sequence[str]) -> None:
    """A robot that waits for a department that the plan does not know would tell nothing. Raises `BadSetting`."""
    for code in one.departments:
        if code not in departments:
            known = ", ".join(departments)
            raise BadSetting(
                f"robot.{one.name}.departments",
                f"预案中没有部门 “{code}”，可以写 {known}",
                f"the plan has no department '{code}'; write {known}",
            )


@dataclass(frozen=True, slots=True)
class RobotState:
    """How one robot does. `failing`: its last message failed, or it is off. `address`: where it sends to, without keys."""

    robot: Robot
    address: str
    waiting: int
    parked: int
    last_told: notices.Message | None
    last_error: notices.Message | None
    failing: bool

    def as_json(self) -> dict[str, object]:
        """It as JSON, for programs; without keys."""
        told, failed = self.last_told, self.last_error
        error: dict[str, object] | None = None
        if failed is not None:
            error = {"at": _iso(failed.at), **outcome_json(failed.outcome)}
        return {
            "name": self.robot.name,
            "kind": self.robot.kind.value,
            "to": self.address,
            "notices": sorted(kind.value for kind in self.robot.tells),
            "waiting": self.waiting,
            "parked": self.parked,
            "failing": self.failing,
            "off": {"zh": self.robot.off[0], "en": self.robot.off[1]} if self.robot.off else None,
            "last_told_at": _iso(told.at) if told else None,
            "last_error": error,
        }


class Robots:
    """All robots of a gateway, by name.

    mailer: None where outgoing mail is off. mail_from: the address of our own.
    """

    def __init__(
        self,
        robots: Sequence[Robot],
        store: Store,
        clock: Clock,
        log: OperatorLog,
        words: NoticeWords,
        make: MakePoster,
        mailer: Mailer | None,
        letters: RobotLetters,
    ) -> None:
        self.known = {robot.name: robot for robot in robots}
        self.words = words
        self._store, self._clock, self._log, self._mailer, self._letters = store, clock, log, mailer, letters
        self._posters = {robot.name: make(robot) for robot in robots if robot.kind is not RobotKind.EMAIL}
        # What each recipient of a mail robot has had already, while others are still to get it.
        self._had: dict[tuple[str, str], set[int]] = {}

    def get(self, name: str) -> Robot:
        """The robot of this name. Raises `Refused`."""
        if name not in self.known:
            known, asked = ", ".join(self.known) or "—", name[:40]
            raise Refused("no_such_robot", f"没有机器人 {asked}；已有：{known}", f"there is no robot {asked}; there are: {known}")
        return self.known[name]

    def close(self) -> None:
        """Gives connections back."""
        for poster in self._posters.values():
            closing: Callable[[], None] | None = getattr(poster, "close", None)
            if closing is not None:
                closing()

    def speakable(self, robot: Robot, notice: Notice) -> bool:
        """Whether there are words for a notice. A fault in one must not silence the others."""
        try:
            notice_json(notice, self.words.item(notice, robot.language, self._clock.now()).link)
        except Exception as error:
            self._log.fault("words of a notice", error, notice.number)
            return False
        return True

    # ---- One try ---------------------------------------------------------------------------------------------------------------------

    def tell(self, robot: Robot, told: Sequence[Notice]) -> TellOutcome:
        """Tells all of these in one message. Never raises for what the other side does."""
        now = self._clock.now()
        if robot.kind is RobotKind.WEBHOOK:
            return self._to_program(robot, told, now)
        if robot.kind is RobotKind.EMAIL:
            return self._by_mail(robot, told, now)
        most = robot_formats.MOST_BYTES[robot.kind]

        def fits(message: Message) -> bool:
            return robot_formats.length(robot.kind, message, robot.language, now) <= most

        return self._post(robot, self.words.compose(told, robot.language, now, _USUALLY_SHOWN, fits), now)

    def _post(self, robot: Robot, message: Message, now: datetime) -> TellOutcome:
        if robot.kind is RobotKind.WECOM:
            posting = robot_formats.wecom(robot.url, message)
        elif robot.kind is RobotKind.DINGTALK:
            posting = robot_formats.dingtalk(robot.url, message, robot.secret, now)
        else:
            posting = robot_formats.feishu(robot.url, message, robot.secret, now, robot.language)
        outcome = self._posters[robot.name].post(posting.url, posting.body, most_answer=_ANSWER_BYTES)
        return robot_answers.read(robot.kind, outcome, robot_answers.keys_of(robot.url, robot.secret))

    def _to_program(self, robot: Robot, told: Sequence[Notice], now: datetime) -> TellOutcome:
        spelt = [notice_json(one, self.words.item(one, robot.language, now).link) for one in told]
        kind, data = (f"notice.{told[0].kind.value}", spelt[0]) if len(told) == 1 else ("notice.gathered", {"notices": spelt})
        ids = ",".join(str(one.id) for one in told)
        webhook_id = f"ntc_{ids}" if len(told) == 1 else f"ntc_{hashlib.sha256(ids.encode()).hexdigest()[:32]}"
        return self._send(robot, webhook_id, {"type": kind, "timestamp": _iso(now), "data": data})

    def _send(self, robot: Robot, webhook_id: str, payload: Mapping[str, Any]) -> TellOutcome:
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        (outcome,) = self._posters[robot.name].send([Outgoing(webhook_id, robot.url, robot.secret, body)])
        return robot_answers.read(robot.kind, outcome, robot_answers.keys_of(robot.url, robot.secret))

    def _by_mail(self, robot: Robot, told: Sequence[Notice], now: datetime) -> TellOutcome:
        """To every recipient what he has not had. It is told once each has had it, or the server wants none of him for good."""
        letters, concerned = [], []
        for to in robot.recipients:
            had = self._had.setdefault((robot.name, to), set())
            if new := [one for one in told if one.id not in had]:
                message = self.words.compose(new, robot.language, now, _MOST_SHOWN[RobotKind.EMAIL], lambda _: True)
                letters.append(self._letters.letter(message, to, [one.id for one in new], robot, now))
                concerned.append((had, [one.id for one in new]))
        outcome = self._mail(letters, concerned)
        if outcome.code is TellCode.ACCEPTED:
            for to in robot.recipients:
                self._had[robot.name, to] -= {one.id for one in told}
        return outcome

    def _mail(self, letters: Sequence[Letter], concerned: Sequence[tuple[set[int], list[int]]]) -> TellOutcome:
        if self._mailer is None:
            return TellOutcome(TellCode.MAIL, zh="未启用外发邮件（mail.enabled）", en="outgoing mail is off (mail.enabled)")
        outcomes = self._mailer.send(letters)
        for one, (had, ids) in zip(outcomes, concerned, strict=True):
            if one.code.value == "accepted":
                had.update(ids)
        return self._letters.outcome(outcomes)

    # ---- For people ------------------------------------------------------------------------------------------------------------------

    def states(self) -> list[RobotState]:
        """How every robot of the settings does."""
        found = []
        with self._store.read() as conn:
            waiting = notices.waiting(conn)
            for robot in self.known.values():
                told = notices.messages(conn, robot.name, 1, accepted=True)
                failed = notices.messages(conn, robot.name, 1, accepted=False)
                failing = robot.off is not None or (bool(failed) and (not told or failed[0].id > told[0].id))
                waits, parked = waiting.get(robot.name, (0, 0))
                address = "、".join(robot.recipients) if robot.kind is RobotKind.EMAIL else robot_answers.shown(robot.url)
                state = RobotState(
                    robot, address, waits, parked, told[0] if told else None, failed[0] if failed else None, failing
                )  # fmt: skip
                found.append(state)
        return found

    def newest(self, limit: int) -> list[tuple[Notice, dict[str, datetime | None]]]:
        """The newest notices, each with when which robot told it."""
        with self._store.read() as conn:
            return notices.newest(conn, limit)

    def failing(self) -> list[str]:
        """The names of robots whose last message failed, and of those that are off."""
        return [state.robot.name for state in self.states() if state.failing] if self.known else []

    def test(self, name: str, *, by: str) -> TellOutcome:
        """Sends a test, which is about nothing, within the robot's limit. Raises `Refused`."""
        robot, now = self.get(name), self._clock.now()
        if robot.off:
            raise Refused("robot_off", *robot.off)
        with self._store.write() as conn:
            message = notices.reserve(self._store, conn, robot, now, by_hand=True)
            free_from = notices.may_send_from(conn, robot, by_hand=True)
        if message is None:
            wait = max(1, round((free_from - now).total_seconds())) if free_from else 1
            raise Refused(
                "robot_busy",
                f"{name} 为遵守频率限制，{wait} 秒后才能再发",
                f"{name} keeps to its limit and may send again in {wait} seconds",
            )
        outcome = self._test(robot, now)
        with self._store.write() as conn:
            # A test that fails holds up nothing that waits, but for what the maker asks.
            notices.settle(conn, message, robot, outcome, [], self._clock.now())
            if outcome.code is TellCode.ACCEPTED:
                jobs.hasten(conn, notices.KIND, name, self._clock.now())
        self._log.write("RobotTested", robot=name, code=outcome.code.value, maker_code=outcome.maker_code, by=by)
        return outcome

    def _test(self, robot: Robot, now: datetime) -> TellOutcome:
        zh = robot.language == "zh"
        words = "这是一条测试，收到即可，无须处理。" if zh else "This is a test: nothing to do."
        if robot.kind is RobotKind.WEBHOOK:
            stamp = f"test_{robot.name}_{int(now.timestamp() * 1000)}"
            return self._send(
                robot, stamp, {"type": "notice.test", "timestamp": _iso(now), "data": {"robot": robot.name, "message": words}}
            )
        message = self.words.test(robot.name, robot.language, words)
        if robot.kind is RobotKind.EMAIL:
            letters = [self._letters.letter(message, to, [], robot, now) for to in robot.recipients]
            return self._mail(letters, [(set(), []) for _ in letters])
        return self._post(robot, message, now)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
