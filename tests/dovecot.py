"""A real Dovecot for the tests: a private instance on free loopback ports, with TLS by a certificate of its own, gone afterwards."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certificates

from benchmarks.programs import free_port

HOW_TO_INSTALL = "apt-get install -y dovecot-imapd openssl"
PASSWORD = "authorisation-code"

# Dovecot 2.3. Whoever logs in has a mailbox; the password is PASSWORD.
_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login {mechanisms}
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%n
maildir_very_dirty_syncs = no
first_valid_uid = 1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
mail_max_userip_connections = 100
imap_idle_notify_interval = 2 mins
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
  }}
}}
service stats {{
  chroot =
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n allow_all_users=yes
}}
{passdbs}
"""
_PASSWORD_DB = """
passdb {{
  driver = static
  args = password={password}
}}
"""
_OAUTH_DB = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""


def find() -> str | None:
    """The program; None where it is not installed or is of a series whose configuration reads otherwise."""
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("openssl") is None:
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return program if version.startswith("2.3.") else None


class Dovecot:
    """A mail server that can be stopped, killed and started again; its mails stay."""

    def __init__(self, program: str, folder: Path, introspection: str = "") -> None:
        self._program, self.folder = program, folder
        self.plain, self.tls = free_port(), free_port()
        self.ca = certificates.make(folder)
        self._write(introspection)
        self._process: subprocess.Popen[bytes] | None = None

    def _write(self, introspection: str) -> None:
        folder = self.folder
        (folder / "run").mkdir()
        (folder / "mail").mkdir()
        root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(me.pw_gid).gr_name
        user = pwd.getpwnam("nobody") if root else me
        if root:
            os.chown(folder / "mail", user.pw_uid, user.pw_gid)
            folder.chmod(0o755)
        passdbs = _PASSWORD_DB
        if introspection:
            (folder / "oauth2.conf").write_text(
                f"introspection_url = {introspection}\nintrospection_mode = post\nusername_attribute = username\n"
                "active_attribute = active\nactive_value = true\nforce_introspection = yes\n"
            )
            passdbs = _OAUTH_DB + passdbs
        values = {
            "folder": folder,
            "mechanisms": "xoauth2 oauthbearer" if introspection else "",
            "internal": "dovecot" if root else me.pw_name,
            "internal_group": "dovecot" if root else group,
            "login": "dovenull" if root else me.pw_name,
            "plain": self.plain,
            "tls": self.tls,
            "uid": user.pw_uid,
            "gid": user.pw_gid,
        }
        (folder / "dovecot.conf").write_text(_CONFIG.format(**values, passdbs=passdbs.format(folder=folder, password=PASSWORD)))

    def start(self) -> None:
        """Starts, and waits until it answers."""
        self._process = subprocess.Popen([self._program, "-F", "-c", str(self.folder / "dovecot.conf")], start_new_session=True)
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.plain), 5) as probe:
                    if probe.recv(100).startswith(b"* OK"):
                        return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Dovecot did not start:\n{self.log()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends it and every connection at once, without a word to anybody."""
        if self._process is not None:
            # It and its children are a session of their own, which we began.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None
            for left in (self.folder / "run").glob("*.pid"):
                left.unlink()

    def log(self) -> str:
        """What it wrote."""
        path = self.folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def renumber(self, user: str) -> None:
        """Gives all mails of a user's INBOX new numbers under another UIDVALIDITY, as a restored server does."""
        uidlist = self.folder / "mail" / user / "dovecot-uidlist"
        uidlist.unlink()
        for left in (self.folder / "mail" / user).glob("dovecot.index*"):
            left.unlink()

    @contextmanager
    def person(self, user: str, folder: str = "INBOX") -> Iterator[Person]:
        """Somebody who works in the mailbox with a mail program."""
        connection = imaplib.IMAP4("127.0.0.1", self.plain, timeout=20)
        try:
            connection.login(user, PASSWORD)
            connection.select(folder)
            yield Person(connection)
        finally:
            connection.logout()


class Person:
    """A second connection to a mailbox."""

    def __init__(self, connection: imaplib.IMAP4) -> None:
        self.imap = connection

    def _ok(self, answer: tuple[str, list[object]]) -> list[object]:
        assert answer[0] == "OK", answer
        return answer[1]

    def arrive(self, raw: bytes, folder: str = "INBOX", date: float | None = None) -> None:
        """A mail comes in."""
        self._ok(self.imap.append(folder, "", imaplib.Time2Internaldate(date or time.time()), raw))

    def uids(self) -> list[int]:
        """The numbers of the mails that are there."""
        self._ok(self.imap.noop())
        found = self._ok(self.imap.uid("SEARCH", "ALL"))[0]
        return [int(uid) for uid in bytes(found or b"").split()]  # type: ignore[call-overload]

    def flags(self, uid: int) -> str:
        """The flags of a mail."""
        return str(self._ok(self.imap.uid("FETCH", str(uid), "(FLAGS)"))[0])

    def read(self, uid: int) -> None:
        """Reads a mail, which marks it."""
        self._ok(self.imap.uid("FETCH", str(uid), "(BODY[])"))

    def delete(self, uid: int) -> None:
        """Deletes a mail for good."""
        self._ok(self.imap.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)"))
        self._ok(self.imap.expunge())

    def create(self, folder: str) -> None:
        """Makes a folder."""
        self.imap.create(folder)

    def move(self, uid: int, folder: str) -> None:
        """Moves a mail to another folder."""
        self._ok(self.imap.uid("MOVE", str(uid), folder))


def client_context(server: Dovecot) -> ssl.SSLContext:
    """Trusts this server."""
    return ssl.create_default_context(cafile=str(server.ca))


@contextmanager
def running(program: str, introspection: str = "") -> Iterator[Dovecot]:
    """A server on free loopback ports, gone afterwards with all it held."""
    folder = Path(tempfile.mkdtemp(prefix="jiesu-imap-"))
    server = Dovecot(program, folder, introspection)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
