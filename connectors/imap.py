"""A conversation with an IMAP server (RFC 3501, 2177, 2971, 6851): the only home of imapclient, and what each of its failures means.

Mails are known by UID and UIDVALIDITY. SEARCH is never used, because some servers lie in it; nothing is ever marked as read.
"""

from __future__ import annotations

import imaplib
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from imapclient import IMAPClient
from imapclient.exceptions import LoginError
from imapclient.response_parser import parse_fetch_response

from connectors.imap_troubles import Trouble
from connectors.imap_wire import SlowError, StoppingError, TooMuchError, Wake, Wire

# The library's log quotes what is sent and received.
for _name in ("imapclient", "imapclient.imaplib"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

# Who we are, for servers that want to know before SELECT (163, 126; RFC 2971).
_WE_ARE = {"name": "jiesu", "version": "1", "vendor": "jiesu"}
_NETEASE = ("163.com", "126.com", "yeah.net", "188.com", "netease.com")
# Room for what a server says beside what was asked, and for lists of folders and mails.
_CHAT_BYTES, _LIST_BYTES = 4_000_000, 64_000_000
_NEWS = re.compile(rb"\* \d+ (?:EXISTS|RECENT)\b", re.IGNORECASE)
# A mail of 25 MB comes in so long over a slow line.
_FETCH_SECONDS, _LIST_SECONDS = 600.0, 300.0


@dataclass(frozen=True, slots=True)
class ImapOptions:
    """How a mailbox is reached; the meaning of each is in docs/configuration.md, `[[mailbox]]`."""

    host: str
    port: int = 993
    tls: str = "tls"
    tls_context: ssl.SSLContext | None = None
    user: str = ""
    folder: str = "INBOX"
    oauth2: bool = False
    idle: bool = True
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Folder:
    """What SELECT says."""

    validity: int
    uid_next: int
    exists: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A mail in the folder. `size` in bytes and `at` (INTERNALDATE) as the server says; -1 and None where it does not."""

    uid: int
    size: int = -1
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a mail, and when it arrived as the server says (INTERNALDATE); None where it does not."""

    raw: bytes
    at: datetime | None


class _Client(IMAPClient):  # type: ignore[misc]
    """The library's client on our wire."""

    def __init__(self, options: ImapOptions, wake: Wake) -> None:
        self.__options, self.__wake = options, wake
        super().__init__(options.host, options.port, ssl=options.tls == "tls", timeout=options.seconds)
        self._imap.debug = 0
        self.normalise_times = False

    def _create_IMAP4(self) -> Wire:
        options = self.__options
        tls = options.tls_context if options.tls == "tls" else None
        return Wire(options.host, options.port, tls=tls, seconds=options.seconds, wake=self.__wake)


class Session:
    """One connection, logged in. Every method raises `Trouble`; after any but those about one mail it is of no more use."""

    def __init__(self, options: ImapOptions, secret: Callable[[], str], wake: Wake) -> None:
        """Connects and logs in. `secret` gives the password or, with OAuth2, the access token."""
        self._options = options
        with _translated():
            self._client = _Client(options, wake)
        try:
            self._log_in(secret)
        except BaseException:
            self.close()
            raise

    @property
    def _wire(self) -> Wire:
        return cast(Wire, self._client._imap)

    def _log_in(self, secret: Callable[[], str]) -> None:
        options = self._options
        if options.tls == "starttls":
            self._begin()
            with _translated():
                if not self._client.has_capability("STARTTLS"):
                    raise Trouble("no_starttls")
                self._client.starttls(options.tls_context)
        given = secret()
        self._begin()
        with _translated(refusal="login_refused"):
            if options.oauth2:
                self._client.sasl_login("XOAUTH2", _xoauth2(options.user, given))
            elif given.isascii() and options.user.isascii():
                self._client.login(options.user, given)
            else:
                self._client.plain_login(options.user, given)
        self._begin()
        with _translated():
            wanted = self._client.has_capability("ID") or options.host.endswith(_NETEASE)
            self._idles = options.idle and bool(self._client.has_capability("IDLE"))
        if wanted:
            try:
                with _translated():
                    self._client.id_(_WE_ARE)
            except Trouble as error:
                # A server that does not care is none the worse.
                if error.code != "refused_command":
                    raise

    def _begin(self, seconds: float | None = None, most_bytes: int = _CHAT_BYTES) -> None:
        """Each command has its time and room, and sees only what is said to itself."""
        self._wire.begin(seconds or 2 * self._options.seconds, most_bytes)
        self._wire.untagged_responses.clear()

    def select(self, *, readonly: bool) -> Folder:
        """Opens the folder."""
        self._begin()
        with _translated(refusal="select_refused"):
            try:
                said = self._client.select_folder(self._options.folder, readonly=readonly)
            except imaplib.IMAP4.readonly:
                raise Trouble("select_refused", "read-only") from None
            except (imaplib.IMAP4.abort, LoginError):
                raise
            except imaplib.IMAP4.error as error:
                if "unsafe login" in str(error).lower():
                    raise Trouble("unsafe_login") from None
                there = self.folders()
                if self._options.folder not in there and there:
                    raise Trouble("folder_missing", f"{self._options.folder}（{'、'.join(there[:20])}）") from None
                raise
        validity = said.get(b"UIDVALIDITY", 0)
        if not validity:
            raise Trouble("no_validity")
        return Folder(int(validity), int(said.get(b"UIDNEXT", 0)), int(said.get(b"EXISTS", 0)))

    def folders(self) -> list[str]:
        """The names of all folders."""
        self._begin(_LIST_SECONDS, _CHAT_BYTES)
        with _translated():
            return [str(name) for _flags, _delimiter, name in self._client.list_folders()]

    def list(self, first: int, *, details: bool = True) -> list[Listed]:
        """The mails whose UID is `first` or higher, by UID."""
        found = {
            uid: Listed(uid, _number(data.get(b"RFC822.SIZE")), _time(data.get(b"INTERNALDATE")))
            for uid, data in self._fetch(f"{first}:*", "(UID RFC822.SIZE INTERNALDATE)" if details else "(UID)", _LIST_BYTES)
            # `*` is the last mail, whatever its number (RFC 3501 6.4.8).
            if uid >= first
        }
        return [found[uid] for uid in sorted(found)]

    def is_there(self, uid: int) -> bool:
        """Whether this mail is in the folder."""
        return any(found == uid for found, _ in self._fetch(str(uid), "(UID)", _CHAT_BYTES))

    def fetch(self, uid: int, most_bytes: int) -> Fetched:
        """One mail, which is not marked as read. Troubles that are only this mail's: `imap_troubles.MAIL_TROUBLES`."""
        try:
            found = [data for at, data in self._fetch(str(uid), "(UID INTERNALDATE BODY.PEEK[])", most_bytes + _CHAT_BYTES) if at == uid]
        except Trouble as error:
            if error.code == "refused_command":
                raise Trouble("fetch_refused", error.detail) from None
            raise
        raw = next((data[b"BODY[]"] for data in found if isinstance(data.get(b"BODY[]"), bytes)), None)
        if raw is None:
            raise Trouble("no_body")
        if len(raw) > most_bytes:
            raise Trouble("too_large", f"{len(raw)}")
        return Fetched(bytes(raw), next((at for data in found if (at := _time(data.get(b"INTERNALDATE")))), None))

    def flag(self, uid: int, flag: str) -> None:
        """Sets a flag on a mail."""
        self._begin()
        with _translated():
            self._client.add_flags([uid], [flag], silent=True)

    def move(self, uid: int, folder: str) -> None:
        """Moves a mail to another folder, which is made where there is none."""
        self._begin()
        with _translated():
            if not self._client.folder_exists(folder):
                self._client.create_folder(folder)
            if self._client.has_capability("MOVE"):
                self._client.move([uid], folder)
                return
            self._client.copy([uid], folder)
            self._client.add_flags([uid], [rb"\Deleted"], silent=True)
            if self._client.has_capability("UIDPLUS"):
                # Without it an expunge would take mails with it that somebody else marked.
                self._client.uid_expunge([uid])

    def wait(self, seconds: float, wake: Wake) -> None:
        """Waits for news, by IDLE where the server has it, else for the time; never longer."""
        if not self._idles:
            wake.wait(seconds)
            self._begin()
            if not wake.stopping:
                with _translated():
                    self._client.noop()
            return
        self._begin(seconds + 2 * self._options.seconds)
        with _translated():
            self._idle(seconds, wake)

    @property
    def idles(self) -> bool:
        """Whether the server tells by itself that mail has come."""
        return self._idles

    def _idle(self, seconds: float, wake: Wake) -> None:
        wire = cast(Any, self._wire)
        tag = wire._command("IDLE")
        while wire._get_response() is not None:
            if wire.tagged_commands.get(tag) is not None:
                # It offers what it then refuses: from now on we ask by ourselves.
                wire.tagged_commands.pop(tag)
                self._idles = False
                return
        until = time.monotonic() + seconds
        news = False
        while not news and (left := until - time.monotonic()) > 0:
            if not wire.anything(left):
                # The time is over, or a look was asked for.
                if wake.asked:
                    break
                wake.clear()
                continue
            line = wire._get_line()
            if line[:6].upper() == b"* BYE ":
                raise Trouble("bye", line[6:].decode("utf-8", "replace"))
            news = bool(_NEWS.match(line))
        wire.send(b"DONE\r\n")
        wire._command_complete("IDLE", tag)

    def close(self) -> None:
        """Says goodbye without waiting for an answer."""
        try:
            self._wire.sock.settimeout(1)
            self._wire.send(b"BYE LOGOUT\r\n")
        except OSError:
            pass
        self._wire.shutdown()

    def _fetch(self, uids: str, what: str, most_bytes: int) -> Iterator[tuple[int, dict[bytes, Any]]]:
        """What the server says of each mail, by UID. Each answer is read alone: numbers shift while it speaks, and one may be garbled."""
        self._begin(_FETCH_SECONDS, most_bytes)
        with _translated():
            kind, answers = self._wire.uid("FETCH", uids, what)
            if kind != "OK":
                raise Trouble("refused_command", _said(answers))
        parts: list[Any] = []
        for part in answers or ():
            if part is None:
                continue
            parts.append(part)
            if isinstance(part, tuple):
                # A literal; the answer goes on.
                continue
            try:
                told = parse_fetch_response(parts, normalise_times=False, uid_is_key=False)
            except Exception:  # noqa: S112 - the library raises many kinds; what cannot be read says nothing
                continue
            finally:
                parts = []
            for data in told.values():
                if isinstance(data.get(b"UID"), int):
                    yield data[b"UID"], data


@contextmanager
def _translated(refusal: str = "refused_command") -> Iterator[None]:
    """Every failure of network, library and server as a `Trouble`."""
    try:
        yield
    except (Trouble, StoppingError):
        raise
    except socket.gaierror:
        raise Trouble("dns") from None
    except ssl.SSLCertVerificationError as error:
        raise Trouble("certificate", error.verify_message) from None
    except ssl.SSLEOFError:
        raise Trouble("closed") from None
    except ssl.SSLError as error:
        raise Trouble("tls", error.reason or "") from None
    except (SlowError, TimeoutError):
        raise Trouble("timeout") from None
    except ConnectionRefusedError:
        raise Trouble("refused") from None
    except (ConnectionError, BrokenPipeError):
        raise Trouble("closed") from None
    except OSError as error:
        raise Trouble("unreachable", error.strerror or "") from None
    except TooMuchError as error:
        raise Trouble("too_much", str(error)) from None
    except LoginError as error:
        if isinstance(error.__context__, imaplib.IMAP4.abort):
            # The library takes a connection that ended for a refusal.
            raise _ended(error.__context__) from None
        raise Trouble("unsafe_login" if "unsafe login" in str(error).lower() else "login_refused", _server_words(error)) from None
    except imaplib.IMAP4.abort as error:
        raise _ended(error) from None
    except imaplib.IMAP4.error as error:
        if "* BYE" in str(error):
            raise _ended(error) from None
        raise Trouble(refusal, _server_words(error)) from None
    except Exception as error:
        # The library fails in many ways on what is no IMAP.
        raise Trouble("protocol", type(error).__name__) from None


def _ended(error: Exception) -> Trouble:
    """Why a connection is of no more use."""
    said = str(error)
    return Trouble("bye" if "BYE" in said.upper() else "closed" if "EOF" in said else "protocol", _server_words(error))


def _xoauth2(user: str, token: str) -> Callable[[bytes], bytes]:
    """Answers of the client: who and with which token; then, to an error, an empty line, upon which the server says NO."""
    answers = iter([f"user={user}\1auth=Bearer {token}\1\1".encode()])
    return lambda _challenge: next(answers, b"")


def _server_words(error: Exception) -> str:
    """What the server said, without the library's frame around it."""
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    text = re.sub(r"^b(['\"])(.*)\1$", r"\2", text)
    return text.partition("socket error: ")[2] or text


def _said(answers: Any) -> str:
    return next((part.decode("utf-8", "replace") for part in answers or () if isinstance(part, bytes)), "")


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) and value.tzinfo is not None else None
