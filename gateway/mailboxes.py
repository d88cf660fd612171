"""The mailboxes of the settings: a thread each while this node holds the lease, what is kept of them, and what people may ask for."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from connectors.base import Accept
from connectors.imap import ImapOptions
from connectors.imap_troubles import Trouble
from connectors.imap_wire import Wake
from connectors.mailbox import MailboxDoor, MailboxOptions
from connectors.oauth2 import OAuth2Options, Tokens
from gateway import config
from gateway.clock import Clock
from gateway.config import Settings
from gateway.oplog import OperatorLog
from gateway.sections_mailbox import Mailbox
from gateway.store import mailboxes, submissions
from gateway.store.engine import Store
from models.errors import BadSetting, Refused, TryLater
from models.mailbox import Entry, Health, Place

# Who looks into a mailbox renews its lease so often; a node that is silent for longer than the lease is taken for dead.
_BEAT_SECONDS, _LEASE = 10.0, timedelta(seconds=60)
# From when on a mailbox is failing, so that people are warned; a single lost connection is nothing.
_FAILURES, _FAILING = 3, timedelta(minutes=10)
_TOLD_EVERY = timedelta(hours=1)
_TOKEN_WARNING = timedelta(days=7)
# How long a thread may take to end; it is woken from whatever it waits for.
_STOP_SECONDS = 8.0


def is_failing(health: Health, now: datetime) -> bool:
    """Whether people should be warned of a mailbox."""
    since = health.failing_since
    return health.failures >= _FAILURES or (since is not None and health.failures > 0 and now - since >= _FAILING)


def expires_soon(health: Health, now: datetime) -> bool:
    """Whether the refresh token of a mailbox ends soon."""
    return health.token_until is not None and health.token_until - now < _TOKEN_WARNING


class StoreLedger:
    """The ledger of one mailbox in the store, its health, and its refresh token."""

    def __init__(self, store: Store, clock: Clock, log: OperatorLog, settings: Settings, box: Mailbox) -> None:
        self._store, self._clock, self._log, self._settings, self._box = store, clock, log, settings, box
        self._name = box.name
        # When people were last warned that it is failing, or that its token ends; None while all is well.
        self._told_at: datetime | None = None
        self._token_told_at: datetime | None = None
        self._was_up = False

    def place(self) -> Place | None:
        """Where it stands."""
        with self._store.read() as conn:
            return mailboxes.place(conn, self._name)

    def begin(self, account: str, validity: int, floor: int, upto: int, *, anew: bool) -> Place:
        """A new generation."""
        with self._store.write() as conn:
            known = mailboxes.place(conn, self._name)
            began = self._clock.now() if anew or known is None else known.began_at
            made = mailboxes.begin(conn, self._name, Place(account, validity, 0, floor, upto, began))
            if not anew:
                mailboxes.drop_unreachable(conn, self._name, made.generation)
            return made

    def known(self, generation: int) -> set[int]:
        """The UIDs in the ledger."""
        with self._store.read() as conn:
            return mailboxes.known(conn, self._name, generation)

    def highest(self, generation: int) -> int:
        """The highest UID in the ledger."""
        with self._store.read() as conn:
            return mailboxes.highest(conn, self._name, generation)

    def brought(self, submission_id: int) -> tuple[int, int] | None:
        """Under which UIDVALIDITY and UID this mailbox handed a submission in."""
        with self._store.read() as conn:
            told = submissions.outlines(conn, [submission_id])[submission_id].envelope
        return (told["validity"], told["uid"]) if told.get("mailbox") == self._name else None  # type: ignore[return-value]

    def write(self, generation: int, entries: Sequence[Entry]) -> None:
        """Writes lines."""
        with self._store.write() as conn:
            mailboxes.write(self._store, conn, self._name, generation, entries)

    def due(self, generation: int, now: datetime) -> list[Entry]:
        """Mails whose next try is due."""
        with self._store.read() as conn:
            return mailboxes.due(conn, self._name, generation, now)

    def next_try(self, generation: int) -> datetime | None:
        """When the next try of any mail is due."""
        with self._store.read() as conn:
            return mailboxes.next_try(conn, self._name, generation)

    def unmoved(self, generation: int) -> list[Entry]:
        """Mails that are still to be moved or flagged."""
        with self._store.read() as conn:
            return mailboxes.unmoved(conn, self._name, generation)

    def succeeded(self, taken: int) -> None:
        """A look came to its end."""
        now = self._clock.now()
        with self._store.write() as conn:
            before = mailboxes.succeeded(conn, self._name, now, taken)
        if not self._was_up or self._told_at is not None:
            self._log.write("MailboxUp", mailbox=self._name, failures=before.failures)
        self._was_up, self._told_at = True, None
        self._warn_of_token(before, now)

    def failed(self, trouble: Trouble) -> int:
        """A look did not."""
        now = self._clock.now()
        with self._store.write() as conn:
            health = mailboxes.failed(conn, self._name, now, trouble.code, trouble.zh, trouble.en)
        if is_failing(health, now) and (self._told_at is None or now - self._told_at >= _TOLD_EVERY):
            self._told_at = now
            since = round((now - (health.failing_since or now)).total_seconds())
            # What the server said may name an address and is for the console alone.
            self._log.write("MailboxFailing", mailbox=self._name, code=trouble.code, failures=health.failures, seconds=since)
        self._warn_of_token(health, now)
        return health.failures

    def _warn_of_token(self, health: Health, now: datetime) -> None:
        told = self._token_told_at
        if health.token_until is not None and expires_soon(health, now) and (told is None or now - told >= timedelta(days=1)):
            self._token_told_at = now
            self._log.write("TokenExpiring", mailbox=self._name, days=max(0, (health.token_until - now).days))

    # ---- The refresh token -----------------------------------------------------------------------------------------------------------

    def refresh_token(self) -> str:
        """The newest refresh token: the store's, while it follows from what the file holds; else the file's, for then it is a new one."""
        path = self._settings.home / (self._box.refresh_token_file or f"secrets/mailbox-{self._name}.refresh-token")
        first = config.secret_file(path, f"mailbox.{self._name}.refresh_token_file")
        seed = hashlib.sha256(first.encode()).hexdigest()
        with self._store.read() as conn:
            kept = mailboxes.refresh_token(conn, self._name)
        if kept is not None and kept[1] == seed:
            return kept[0]
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        with self._store.write() as conn:
            mailboxes.keep_refresh_token(conn, self._name, first, seed, self._clock.now(), self._ends(written))
        return first

    def keep(self, token: str, until: datetime | None) -> None:
        """Keeps a new refresh token; returns when it is on disk."""
        with self._store.write() as conn:
            kept = mailboxes.refresh_token(conn, self._name)
            now = self._clock.now()
            mailboxes.keep_refresh_token(conn, self._name, token, kept[1] if kept else "", now, until or self._ends(now))

    def _ends(self, since: datetime) -> datetime | None:
        return since + timedelta(days=self._box.refresh_token_days) if self._box.refresh_token_days else None


def imap_options(settings: Settings, box: Mailbox) -> ImapOptions:
    """How a mailbox is reached. Raises `BadSetting` where its certificates cannot be used."""
    context: ssl.SSLContext | None = None
    if box.tls != "none":
        try:
            context = ssl.create_default_context(cafile=str(settings.home / box.ca_file) if box.ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise BadSetting(
                f"mailbox.{box.name}.ca_file", f"证书文件不能用（{error}）", f"the certificate file cannot be used ({error})"
            ) from None
    return ImapOptions(box.host, box.port, box.tls, context, box.user, box.folder, box.auth == "oauth2", box.idle, box.timeout_seconds)


def mailbox_options(settings: Settings, box: Mailbox) -> MailboxOptions:
    """How a mailbox is looked into."""
    what = {"nothing": "", "flag": box.after_flag, "move": box.after_folder}[box.after]
    return MailboxOptions(box.name, imap_options(settings, box), box.backfill, box.max_bytes, box.poll_seconds, box.after, what)


def secret_source(settings: Settings, box: Mailbox, shelf: StoreLedger, clock: Clock) -> tuple[Callable[[], str], Callable[[], None]]:
    """What gives the password or access token at each login, and what hears that it was refused."""
    if box.auth == "password":
        return partial(_of_people, settings, box), lambda: None
    options = OAuth2Options(
        box.token_url,
        box.client_id,
        lambda: config.mailbox_secret(settings, box, "client_secret"),
        box.scope,
        imap_options(settings, box).tls_context,
        box.timeout_seconds,
    )
    tokens = Tokens(options, shelf, clock.now)
    return tokens.access_token, tokens.forget


def _of_people(settings: Settings, box: Mailbox) -> str:
    return config.mailbox_secret(settings, box, "password")


def check_secrets(settings: Settings) -> None:
    """Whether every mailbox can log in at all. Raises `BadSetting`, which names mailbox, key and remedy."""
    for box in settings.mailbox:
        if not box.enabled:
            continue
        imap_options(settings, box)
        if box.auth == "password":
            config.mailbox_secret(settings, box, "password")
        else:
            config.mailbox_secret(settings, box, "client_secret")
            path = settings.home / (box.refresh_token_file or f"secrets/mailbox-{box.name}.refresh-token")
            config.secret_file(path, f"mailbox.{box.name}.refresh_token_file")


@dataclass(slots=True)
class _Watch:
    """A thread that looks into a mailbox."""

    thread: threading.Thread
    wake: Wake
    asked_at: datetime | None


class Mailboxes:
    """All mailboxes of the settings."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, log: OperatorLog, node: str) -> None:
        self._settings, self._store, self._clock, self._log, self._node = settings, store, clock, log, node
        self._boxes = {box.name: box for box in settings.mailbox if box.enabled}
        for box in self._boxes.values():
            # A certificate file that cannot be used is found at the start. A password that is missing is for `check-config` to find: it
            # must not keep the other doors shut, and may be written while we run.
            imap_options(settings, box)
        self._watches: dict[str, _Watch] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._beating: threading.Thread | None = None
        # What failed last at the beat is told once, and not every ten seconds.
        self._beats_well = True

    @property
    def names(self) -> list[str]:
        """The mailboxes that are looked into, by name."""
        return sorted(self._boxes)

    # ---- Looking into them -----------------------------------------------------------------------------------------------------------

    def start(self, accept: Accept) -> None:
        """Begins; mailboxes that another node has are left to it until it dies."""
        if self._boxes:
            self._beating = threading.Thread(target=self._beat, args=(accept,), name="mailboxes", daemon=True)
            self._beating.start()

    def stop(self) -> None:
        """Ends all within seconds; a mail that is under way is fetched again at the next start."""
        self._stopping.set()
        with self._lock:
            watches = dict(self._watches)
        for watch in watches.values():
            watch.wake.stop()
        if self._beating is not None:
            self._beating.join(_STOP_SECONDS)
        for watch in watches.values():
            watch.thread.join(_STOP_SECONDS)
            if not watch.thread.is_alive():
                watch.wake.close()
        try:
            with self._store.write() as conn:
                for name in watches:
                    mailboxes.let_go(conn, name, self._node)
        except TryLater:
            # Then the leases end by themselves.
            pass

    def _beat(self, accept: Accept) -> None:
        while not self._stopping.is_set():
            try:
                self._hold(accept)
                self._beats_well = True
            except Exception as error:
                if self._beats_well and not isinstance(error, TryLater):
                    self._log.fault("mailboxes", error)
                self._beats_well = False
            self._stopping.wait(_BEAT_SECONDS)

    def _hold(self, accept: Accept) -> None:
        """Takes or renews the leases, begins to look into what is ours, and leaves what is not ours any more."""
        now = self._clock.now()
        with self._store.write() as conn:
            for box in self._boxes.values():
                mailboxes.register(self._store, conn, box.name, box.folder)
            held = {name: mailboxes.hold(conn, name, self._node, now, now + _LEASE) for name in self._boxes}
            asked = mailboxes.asked(conn, list(self._boxes))
        for name, mine in held.items():
            watch = self._watches.get(name)
            if watch is not None and not (mine and watch.thread.is_alive()):
                self._leave(name)
                watch = None
            if not mine or self._stopping.is_set():
                continue
            if watch is None:
                self._begin(self._boxes[name], accept, asked.get(name))
            elif name in asked and asked[name] != watch.asked_at:
                watch.asked_at = asked[name]
                watch.wake.look()

    def _begin(self, box: Mailbox, accept: Accept, asked_at: datetime | None) -> None:
        ledger = StoreLedger(self._store, self._clock, self._log, self._settings, box)
        secret, refused = secret_source(self._settings, box, ledger, self._clock)
        wake = Wake()
        door = MailboxDoor(
            mailbox_options(self._settings, box),
            ledger,
            accept,
            self._clock.now,
            self._log.write,
            secret,
            wake,
            refused=refused,
            fault=partial(self._log.fault, f"mailbox {box.name}"),
        )
        thread = threading.Thread(target=door.run, name=f"mailbox-{box.name}", daemon=True)
        with self._lock:
            self._watches[box.name] = _Watch(thread, wake, asked_at)
        thread.start()

    def _leave(self, name: str) -> None:
        with self._lock:
            watch = self._watches.pop(name)
        watch.wake.stop()
        watch.thread.join(_STOP_SECONDS)
        if not watch.thread.is_alive():
            watch.wake.close()

    # ---- What people see and ask for -------------------------------------------------------------------------------------------------

    def health(self) -> list[Health]:
        """How each mailbox of the settings does."""
        with self._store.read() as conn:
            known = {one.name: one for one in mailboxes.health(conn, self.names)}
        return [
            known.get(name) or Health(name, self._boxes[name].folder, None, None, None, 0, None, None, "", "", "", "")
            for name in self.names
        ]

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """How many mails of each mailbox became what."""
        with self._store.read() as conn:
            return mailboxes.counts(conn)

    def warnings(self) -> tuple[list[str], list[str]]:
        """The mailboxes that people should be warned of: those that are failing, and those whose refresh token ends soon."""
        if not self._boxes:
            return [], []
        now, health = self._clock.now(), self.health()
        return [one.name for one in health if is_failing(one, now)], [one.name for one in health if expires_soon(one, now)]

    def not_taken(self, limit: int = 200) -> list[tuple[str, Entry]]:
        """Mails that are put aside or wait for their next try, newest first."""
        with self._store.read() as conn:
            return mailboxes.not_taken(conn, limit)

    def look(self, name: str, by: str) -> None:
        """Has a mailbox looked into now, on whichever node. Raises `Refused`."""
        self._known(name)
        with self._store.write() as conn:
            mailboxes.ask(conn, [name], self._clock.now())
        self._log.write("LookAsked", mailbox=name, by=by)
        self._wake([name])

    def try_again(self, by: str, *, name: str | None = None, ids: Sequence[int] | None = None, left: bool = False) -> int:
        """Has mails fetched again that are aside: these, or all of a mailbox, or all. `left`: those that the first choice left out.

        Returns how many mailboxes are looked into for that. Raises `Refused`.
        """
        names = [name] if name is not None else self.names
        for one in names:
            self._known(one)
        now = self._clock.now()
        with self._store.write() as conn:
            found = mailboxes.try_again(conn, names, now, ids=ids, left=left)
            mailboxes.ask(conn, found, now)
        for one in found:
            self._log.write("LookAsked", mailbox=one, by=by)
        self._wake(found)
        return len(found)

    def gauges(self) -> list[tuple[str, bool, float, int]]:
        """For each mailbox its name, whether it is up, when it last was (a Unix time, 0 for never), and failures in a row."""
        return [(one.name, one.up, one.succeeded_at.timestamp() if one.succeeded_at else 0.0, one.failures) for one in self.health()]

    def _wake(self, names: Sequence[str]) -> None:
        with self._lock:
            for name in names:
                if name in self._watches:
                    self._watches[name].wake.look()

    def _known(self, name: str) -> None:
        if name not in self._boxes:
            raise Refused("no_such_mailbox", f"没有叫 {name[:40]} 的邮箱", f"there is no mailbox {name[:40]}")
