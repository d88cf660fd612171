"""The connection to an IMAP server, beneath the library: every wait ends, and nothing that a server sends is kept without limit.

The library would wait for ever, keep a literal of any size, and cannot be interrupted (threats: row 15).
"""

from __future__ import annotations

import imaplib
import select
import socket
import ssl
import time
from typing import Any

# The longest line that is read; a list of a hundred thousand mails has short ones.
_LONGEST_LINE = 1_000_000
# How often a peer that says nothing is asked whether it is there, so that a cable that was pulled shows during IDLE.
_KEEPALIVE_SECONDS = 60


class StoppingError(Exception):
    """The gateway stops; whatever was under way is dropped."""


class TooMuchError(Exception):
    """The server sends more than was agreed to; the connection is of no more use."""


class SlowError(TimeoutError):
    """The server did not answer in time."""


class Wake:
    """Wakes a thread that waits for a server: to look now, or to stop."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self.stopping = False
        # Whether a look was asked for that was not begun yet.
        self.asked = False

    def look(self) -> None:
        """Ends the wait of now, or the next."""
        self.asked = True
        try:
            self._theirs.send(b".")
        except OSError:
            # It is full: then it is awake anyway; or closed.
            pass

    def stop(self) -> None:
        """Ends everything."""
        self.stopping = True
        self.look()

    def fileno(self) -> int:
        """For polling."""
        return self._ours.fileno()

    def clear(self) -> None:
        """What woke us is heeded."""
        try:
            while self._ours.recv(4096):
                pass
        except OSError:
            pass

    def wait(self, seconds: float) -> bool:
        """Waits for so long; True when woken."""
        until = time.monotonic() + seconds
        poller = select.poll()
        poller.register(self._ours, select.POLLIN)
        while not (self.stopping or self.asked) and (left := until - time.monotonic()) > 0:
            poller.poll(left * 1000)
            if not self.stopping:
                self.clear()
        return self.stopping or self.asked

    def close(self) -> None:
        """Gives the sockets back."""
        self._ours.close()
        self._theirs.close()


class Wire(imaplib.IMAP4):
    """The library's connection with our own reading. `begin` gives each command its time and its room."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, seconds: float, wake: Wake) -> None:
        self._tls, self._seconds, self._wake = tls, seconds, wake
        self._read = bytearray()
        self.begin(seconds, _LONGEST_LINE)
        super().__init__(host, port)

    def begin(self, seconds: float, most_bytes: int) -> None:
        """From now on the server has so long to answer, in so many bytes."""
        self._until = time.monotonic() + seconds
        self._room = most_bytes

    # What follows overrides the library; the names are its own.

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connects."""
        self.host, self.port = host, port
        self.sock = socket.create_connection((host, port), self._seconds)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_SECONDS // 4)
        if self._tls is not None:
            try:
                self.sock = self._tls.wrap_socket(self.sock, server_hostname=host)
            except BaseException:
                self.sock.close()
                raise

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        """Encrypts. What the server said too early is not believed (RFC 9051 11.1)."""
        assert ssl_context is not None  # noqa: S101 - ours always is
        answer = self._simple_command("STARTTLS")
        if answer[0] != "OK":
            raise self.error("STARTTLS refused")
        if self._read:
            raise self.abort("text after STARTTLS")
        self.sock = ssl_context.wrap_socket(self.sock, server_hostname=self.host)
        self._tls_established = True
        self._get_capabilities()
        return self._untagged_response(*answer, "STARTTLS")

    def read(self, size: int) -> bytes:
        """Exactly so many bytes; half a mail is never a mail."""
        if size > self._room:
            raise TooMuchError(f"a literal of {size} bytes")
        while len(self._read) < size:
            self._fill()
        return self._taken(size)

    def readline(self) -> bytes:
        """A whole line."""
        looked = 0
        while (end := self._read.find(b"\n", looked)) < 0:
            looked = len(self._read)
            if looked > _LONGEST_LINE:
                raise TooMuchError("an endless line")
            self._fill()
        return self._taken(end + 1)

    def shutdown(self) -> None:
        """Closes, whatever state it is in."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self.sock.close()

    def anything(self, seconds: float) -> bool:
        """Waits for so long, or until woken. True when the server has said something."""
        if self._read or self._pending():
            return True
        if self._wake.asked:
            return False
        ready = self._poll(seconds)
        return self.sock.fileno() in ready

    def _taken(self, size: int) -> bytes:
        self._room -= size
        if self._room < 0:
            raise TooMuchError("more than was asked for")
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def _pending(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def _poll(self, seconds: float) -> set[int]:
        if self._wake.stopping:
            raise StoppingError
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        poller.register(self._wake.fileno(), select.POLLIN)
        ready = {fd for fd, _ in poller.poll(max(0.0, seconds) * 1000)}
        if self._wake.stopping:
            raise StoppingError
        return ready

    def _fill(self) -> None:
        """More bytes, in the time that is left."""
        left = min(self._seconds, self._until - time.monotonic())
        if not self._pending():
            waited_until = time.monotonic() + left
            while self.sock.fileno() not in self._poll(left):
                left = waited_until - time.monotonic()
                if left <= 0:
                    raise SlowError
                # To look now is for later: an answer is being waited for.
                self._wake.clear()
        if self._until < time.monotonic():
            raise SlowError
        self.sock.settimeout(max(0.01, min(self._seconds, self._until - time.monotonic())))
        data = self.sock.recv(65_536)
        if not data:
            raise self.abort("socket error: EOF")
        self._read += data
