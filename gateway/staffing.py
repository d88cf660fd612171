"""People and programs: who they are, how they show it, and how guessing is made slow. The only home of argon2."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import argon2

from gateway.clock import Clock
from gateway.oplog import OperatorLog
from gateway.store import staff
from gateway.store.engine import Store
from models.errors import Refused
from models.staff import Caller, Person, Role, Scope, Session

# A one-time link can be used so long; a session ends when nobody has used it for IDLE, and after SESSION in any case.
INVITED, IDLE, SESSION = timedelta(hours=24), timedelta(hours=2), timedelta(hours=12)
# How exactly it is kept when a session was last used: each look would be a write otherwise.
_TOUCH = timedelta(minutes=1)
LEAST_PASSWORD, MOST_PASSWORD, MOST_NAME = 10, 200, 80
# Whom the first start invites.
FIRST_NAME = "admin"

# So many wrong passwords are free, then each doubles the wait, up to the longest. An address may hold many people (an office).
_FREE_BY_NAME, _FREE_BY_ADDRESS = 5, 20
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 900.0
# So many names and addresses are remembered.
_REMEMBERED = 10_000
# Checking a password takes 64 MiB; so many at once.
_CHECKS_AT_ONCE = 2

# What everybody tries first.
_WORN_OUT = frozenset(
    {
        "1234567890",
        "0123456789",
        "0987654321",
        "12345678910",
        "123456789a",
        "a123456789",
        "qwertyuiop",
        "1q2w3e4r5t",
        "password12",
        "password123",
        "passw0rd123",
        "iloveyou123",
        "admin12345",
        "administrator",
        "woaini1314",
        "5201314520",
        "aa123456789",
        "abc1234567",
        "jiesu12345",
    }
)


def hashed(token: str) -> str:
    """What is kept of a token of 256 random bits: enough to know it again, useless to who steals the store."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Patience:
    """How long somebody who was wrong must wait before he may try again. In memory; a restart forgives."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def wait(self, key: str, now: datetime) -> float:
        """Seconds until the next try; 0 when it may be now."""
        with self._lock:
            count, last = self._wrong.get(key, (0, now))
        if count < self._free:
            return 0.0
        needed = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(count - self._free, 20))
        # A clock that was set back must not lock anybody out for longer.
        return max(0.0, min(needed, needed - (now - last).total_seconds()))

    def wrong(self, key: str, now: datetime) -> None:
        """Another wrong try."""
        with self._lock:
            count, last = self._wrong.pop(key, (0, now))
            # Who left it alone for long enough begins anew.
            count = 0 if (now - last).total_seconds() > 2 * _LONGEST_WAIT else count
            self._wrong[key] = (count + 1, now)
            while len(self._wrong) > _REMEMBERED:
                self._wrong.popitem(last=False)

    def right(self, key: str) -> None:
        """A right one: all is forgotten."""
        with self._lock:
            self._wrong.pop(key, None)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session: the token for the cookie, which is kept nowhere else."""

    token: str
    session: Session


class TooSoon(Refused):
    """Too many wrong tries; `seconds` says how long to wait."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, round(seconds + 0.5))
        super().__init__("too_soon", f"尝试次数过多，请 {self.seconds} 秒后再试", f"too many tries; wait {self.seconds} seconds")


@cache
def _nobodys() -> str:
    """What an unknown name is checked against, so that it takes as long as a known one. Made when it is first wanted: it takes 0.3 s."""
    return argon2.PasswordHasher().hash(secrets.token_urlsafe(16))


class Staffing:
    """Knows people and programs. `api_token` is the one in the home's file, which opens everything."""

    def __init__(self, store: Store, clock: Clock, log: OperatorLog, api_token: str) -> None:
        self._store, self._clock, self._log, self._api_token = store, clock, log, api_token
        self._hasher = argon2.PasswordHasher()
        self._checks = threading.BoundedSemaphore(_CHECKS_AT_ONCE)
        self._by_name, self._by_address = Patience(_FREE_BY_NAME), Patience(_FREE_BY_ADDRESS)

    # ---- People ----------------------------------------------------------------------------------------------------------------------

    def people(self) -> list[Person]:
        """Everybody, by name."""
        with self._store.read() as conn:
            return staff.people(conn)

    def add(self, name: str, role: Role) -> str:
        """Adds a person and returns the token of a one-time link. Raises `Refused` for a name that will not do or is taken."""
        name = checked_name(name)
        with self._store.write() as conn:
            added = staff.add(self._store, conn, name, role, self._clock.now())
            if added is None:
                raise Refused(
                    "name_taken",
                    f"已有名为“{name}”的人员；重设口令请用 jiesu people invite",
                    f"there is a person called '{name}' already; use jiesu people invite to set a new password",
                )
            token = secrets.token_urlsafe(32)
            staff.change(conn, added, invitation=hashed(token), invited_until=self._clock.now() + INVITED)
        self._log.write("PeopleChanged", what="added", staff=added, role=role.value)
        return token

    def invite(self, name: str) -> str:
        """A new one-time link; the old one is void, the password holds until the new one is set. Whoever was disabled may come back."""
        person = self._named(name)
        token = secrets.token_urlsafe(32)
        with self._store.write() as conn:
            values = {"invitation": hashed(token), "invited_until": self._clock.now() + INVITED, "disabled": False}
            staff.change(conn, person.id, **values)
        self._log.write("PeopleChanged", what="invited", staff=person.id)
        return token

    def disable(self, name: str) -> None:
        """Signs the person out everywhere; neither password nor link opens anything any more."""
        person = self._named(name)
        with self._store.write() as conn:
            staff.change(conn, person.id, disabled=True, invitation=None, invited_until=None, password=None)
            staff.end_sessions_of(conn, person.id)
        self._log.write("PeopleChanged", what="disabled", staff=person.id)

    def give_role(self, name: str, role: Role) -> None:
        """Changes what a person may do, from the next click on."""
        person = self._named(name)
        with self._store.write() as conn:
            staff.change(conn, person.id, role=role.value)
        self._log.write("PeopleChanged", what="role", staff=person.id, role=role.value)

    def first_link(self) -> str | None:
        """At a start without anybody: the token of a link for the first operator, given once. Two nodes at once: one gives it."""
        with self._store.read() as conn:
            if staff.anybody(conn):
                return None
        try:
            return self.add(FIRST_NAME, Role.OPERATOR)
        except Refused:
            return None

    def nobody_ready(self) -> bool:
        """Whether nobody can sign in yet."""
        with self._store.read() as conn:
            return not staff.anybody_ready(conn)

    def _named(self, name: str) -> Person:
        with self._store.read() as conn:
            found = staff.by_name(conn, name.strip())
        if found is None:
            shown = name.strip()[:MOST_NAME]
            raise Refused("no_such_person", f"没有名为“{shown}”的人员", f"there is nobody called '{shown}'")
        return found[0]

    # ---- Passwords and sessions ------------------------------------------------------------------------------------------------------

    def invited(self, token: str) -> Person | None:
        """Whom a one-time link is for, while it can be used."""
        with self._store.read() as conn:
            return staff.by_invitation(conn, hashed(token), self._clock.now())

    def set_password(self, token: str, password: str) -> SignedIn | None:
        """Uses a one-time link up and signs in; None when it cannot be used any more. Raises `Refused` for a password that will not do."""
        person = self.invited(token)
        if person is None:
            return None
        password = _checked_password(password, person.name)
        with self._checks:
            kept = self._hasher.hash(password)
        with self._store.write() as conn:
            if staff.accept_invitation(conn, hashed(token), kept, self._clock.now()) is None:
                return None
            staff.end_sessions_of(conn, person.id)
        self._by_name.right(_key_of(person.name))
        self._log.write("PasswordSet", staff=person.id)
        return self._begin(person)

    def sign_in(self, name: str, password: str, address: str) -> SignedIn | None:
        """A session; None for a wrong name or password, which cannot be told apart. Raises `TooSoon` after too many."""
        name, now = name.strip()[: 2 * MOST_NAME], self._clock.now()
        tries = ((self._by_name, _key_of(name)), (self._by_address, address))
        waits = max(patience.wait(key, now) for patience, key in tries)
        if waits:
            self._log.write("SignInRefused", reason="too_soon")
            raise TooSoon(waits)
        with self._store.read() as conn:
            found = staff.by_name(conn, name)
        person, kept = found or (None, None)
        # Counted before the check, so that many at once do not get as many tries.
        for patience, key in tries:
            patience.wrong(key, now)
        right = self._matches(kept or _nobodys(), password)
        if person is None or kept is None or person.disabled or not right:
            self._log.write("SignInRefused", reason="wrong")
            return None
        for patience, key in tries:
            patience.right(key)
        if self._hasher.check_needs_rehash(kept):
            with self._store.write() as conn:
                staff.change(conn, person.id, password=self._hasher.hash(_normal(password)))
        self._log.write("SignedIn", staff=person.id)
        return self._begin(person)

    def session(self, token: str) -> Session | None:
        """Who is signed in with this token, if the session is still alive; keeps it alive."""
        if not token:
            return None
        now = self._clock.now()
        with self._store.read() as conn:
            found = staff.session(conn, hashed(token))
        if found is None or found.person.disabled:
            return None
        if now >= found.until or now - found.seen_at >= IDLE:
            self.sign_out(token)
            return None
        if now - found.seen_at >= _TOUCH:
            with self._store.write() as conn:
                staff.touch_session(conn, hashed(token), now)
        return found

    def sign_out(self, token: str) -> None:
        """Ends the session."""
        with self._store.write() as conn:
            staff.end_session(conn, hashed(token))

    def _begin(self, person: Person) -> SignedIn:
        token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._clock.now()
        with self._store.write() as conn:
            staff.begin_session(conn, hashed(token), person.id, csrf, now, now + SESSION)
        return SignedIn(token, Session(person, csrf, now, now, now + SESSION))

    def _matches(self, kept: str, password: str) -> bool:
        with self._checks:
            try:
                return self._hasher.verify(kept, _normal(password[: 4 * MOST_PASSWORD])[:MOST_PASSWORD])
            except argon2.exceptions.VerificationError:
                return False

    # ---- Programs --------------------------------------------------------------------------------------------------------------------

    def add_token(self, name: str, scopes: Sequence[Scope]) -> str:
        """A program's token, shown this once. Raises `Refused` for a name that will not do or is taken."""
        name = checked_name(name)
        if not scopes:
            raise Refused("no_scope", "请至少给出一个 --scope", "give at least one --scope")
        token = _program_token()
        with self._store.write() as conn:
            if not staff.add_token(self._store, conn, hashed(token), name, list(dict.fromkeys(scopes)), self._clock.now()):
                raise Refused(
                    "name_taken",
                    f"已有名为“{name}”的令牌；要换新的令牌：jiesu token renew",
                    f"there is a token called '{name}' already; for a new one in its place: jiesu token renew",
                )
        self._log.write("TokensChanged", what="added", scopes=[scope.value for scope in scopes])
        return token

    def renew_token(self, name: str) -> str:
        """Another token for a program, shown this once; the one before opens nothing from now on, and a disabled one comes back.

        Name, scopes and what goes by the name stay: how far the program is in the feed. Raises `Refused` where there is none.
        """
        token = _program_token()
        with self._store.write() as conn:
            if not staff.renew_token(conn, name.strip(), hashed(token), self._clock.now()):
                raise _no_such_token(name)
        self._log.write("TokensChanged", what="renewed")
        return token

    def tokens(self) -> list[staff.TokenRow]:
        """All tokens of programs."""
        with self._store.read() as conn:
            return staff.tokens(conn)

    def disable_token(self, name: str) -> None:
        """A program's token opens nothing any more."""
        with self._store.write() as conn:
            if not staff.disable_token(conn, name.strip()):
                raise _no_such_token(name)
        self._log.write("TokensChanged", what="disabled")

    def caller(self, token: str) -> Caller | None:
        """Which program shows this token; None for one that opens nothing."""
        if hmac.compare_digest(token.encode("utf-8", "replace"), self._api_token.encode()):
            return Caller("", frozenset(Scope))
        if not token.startswith("jiesu_"):
            return None
        with self._store.read() as conn:
            return staff.caller(conn, hashed(token))


def _program_token() -> str:
    return "jiesu_" + secrets.token_urlsafe(32)


def _no_such_token(name: str) -> Refused:
    shown = name.strip()[:MOST_NAME]
    return Refused("no_such_token", f"没有名为“{shown}”的令牌", f"there is no token called '{shown}'")


def checked_name(name: str) -> str:
    """The name of a person or program without space around it. Raises `Refused` for one that will not do."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise Refused("bad_name", f"名字应为 1–{MOST_NAME} 个可见字符", f"a name has 1 to {MOST_NAME} characters, all of which can be seen")
    return name


def _checked_password(password: str, name: str) -> str:
    password = _normal(password)
    if len(password) < LEAST_PASSWORD:
        raise Refused("password_short", f"口令至少 {LEAST_PASSWORD} 个字符", f"a password has {LEAST_PASSWORD} characters or more")
    if len(password) > MOST_PASSWORD:
        raise Refused("password_long", f"口令最多 {MOST_PASSWORD} 个字符", f"a password has {MOST_PASSWORD} characters at most")
    small = password.casefold()
    if small in _WORN_OUT or len(set(small)) < 4 or (len(name) > 2 and name.casefold() in small):
        raise Refused(
            "password_weak",
            "这个口令太容易猜到：请不要用自己的名字、连续数字或反复的字符",
            "this password is easily guessed: use neither your name nor digits in a row nor the same characters again and again",
        )
    return password


def _normal(password: str) -> str:
    # The same password from another keyboard may be spelt with other code points.
    return unicodedata.normalize("NFKC", password)


def _key_of(name: str) -> str:
    return name.casefold()[:MOST_NAME]
