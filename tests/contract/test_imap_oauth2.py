"""OAuth2 for mailboxes: every new refresh token is on disk before its access token is used, and what goes wrong is told in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dovecot
import pytest
from imap_house import letter, settings, taken
from imap_rig import Rig
from imap_server import ImapServer
from running import RunningGateway
from token_server import TokenServer

from connectors.imap_troubles import Trouble
from gateway import config
from gateway.mailboxes import StoreLedger, expires_soon, secret_source
from gateway.sections_mailbox import Mailbox
from gateway.store import mailboxes
from models.errors import TryLater


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


class Case:
    """A mailbox that wants tokens, on a real store and a real token endpoint."""

    def __init__(self, server: ImapServer, tokens: TokenServer, folder: Path, **more: object) -> None:
        server.tokens = tokens.access
        self.file = folder / "secrets" / "mailbox-box.refresh-token"
        self.file.parent.mkdir()
        self.write("first")
        self.rig = Rig(server, folder, imap={"oauth2": True, "user": "tousu"})
        self.settings = config.load({"JIESU_HOME": str(folder)})
        fixed = {
            "name": "box",
            "host": "127.0.0.1",
            "user": "tousu",
            "auth": "oauth2",
            "token_url": f"{tokens.url}/token",
            "client_id": "me",
        }
        self.box = Mailbox(**(fixed | more))
        self.fresh()

    def write(self, token: str) -> None:
        self.file.write_text(token + "\n")
        self.file.chmod(0o600)

    def fresh(self) -> None:
        """A new start: nothing is in memory."""
        self.ledger = StoreLedger(self.rig.store, self.rig.clock, self.rig.log, self.settings, self.box)
        self.rig.secret, self.refused = secret_source(self.settings, self.box, self.ledger, self.rig.clock)
        self.rig.restart()


@pytest.fixture
def case(tokens: TokenServer, tmp_path: Path) -> Iterator[Case]:
    with ImapServer() as server:
        made = Case(server, tokens, tmp_path, client_secret="quiet", scope="imap offline")
        with made.rig:
            yield made


def test_a_token_is_had_used_and_renewed_before_its_end(case: Case, tokens: TokenServer) -> None:
    case.rig.server.arrive(letter())
    assert case.rig.look() == ""
    assert len(case.rig.committed()) == 1
    sent = {"grant_type": "refresh_token", "refresh_token": "first", "client_id": "me", "client_secret": "quiet", "scope": "imap offline"}
    assert tokens.asked == [sent]
    case.rig.door._hang_up()
    assert case.rig.look() == ""
    # While it holds no other is asked for.
    assert len(tokens.asked) == 1
    case.rig.clock.move(seconds=3590)
    case.rig.door._hang_up()
    assert case.rig.look() == ""
    assert [asked["refresh_token"] for asked in tokens.asked] == ["first", "refresh-1"]


def test_a_new_refresh_token_outlives_a_crash(case: Case, tokens: TokenServer) -> None:
    assert case.rig.look() == ""
    case.fresh()
    assert case.rig.look() == ""
    case.fresh()
    assert case.rig.look() == ""
    assert [asked["refresh_token"] for asked in tokens.asked] == ["first", "refresh-1", "refresh-2"]


def test_a_new_refresh_token_is_kept_before_its_access_token_is_used(
    case: Case, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise TryLater("store_busy", "忙", "busy")

    with monkeypatch.context() as patch:
        patch.setattr(mailboxes, "keep_refresh_token", away)
        # At the very first use the file's token is kept; that fails, too.
        assert case.rig.look() == "store_unavailable"
    assert tokens.asked == []
    assert case.rig.look() == ""
    case.rig.clock.move(hours=2)
    case.rig.door._hang_up()
    with monkeypatch.context() as patch:
        patch.setattr(mailboxes, "keep_refresh_token", away)
        logins = case.rig.server.logins
        assert case.rig.look() == "store_unavailable"
        assert case.rig.server.logins == logins
        assert case.rig.look() == "store_unavailable"
    # The endpoint was asked once: its answer is remembered until it can be kept.
    assert len(tokens.asked) == 2
    assert case.rig.look() == ""
    case.fresh()
    assert case.rig.look() == ""
    assert [asked["refresh_token"] for asked in tokens.asked] == ["first", "refresh-1", "refresh-2"]


def test_a_refused_refresh_token_is_told_and_mended_by_a_new_file(case: Case, tokens: TokenServer) -> None:
    assert case.rig.look() == ""
    tokens.refuse = True
    case.rig.clock.move(hours=2)
    case.rig.door._hang_up()
    for n in range(3):
        with pytest.raises(Trouble) as told:
            case.rig.secret()
        assert told.value.code == "token_refused"
        # The code of the endpoint, and not the address in its words.
        assert told.value.detail == "invalid_grant"
        assert case.ledger.failed(told.value) == n + 1
    assert [line["code"] for line in case.rig.told("MailboxFailing")] == ["token_refused"]
    tokens.refuse, tokens.refresh = False, "authorised anew"
    case.write("authorised anew")
    assert case.rig.look() == ""
    assert tokens.asked[-1]["refresh_token"] == "authorised anew"


def test_an_endpoint_that_is_away_or_talks_nonsense_is_tried_later(case: Case, tokens: TokenServer) -> None:
    tokens.broken = True
    assert case.rig.look() == "token_unreachable"
    tokens.broken, tokens.garble = False, True
    assert case.rig.look() == "token_answer"
    tokens.garble = False
    assert case.rig.look() == ""


def test_an_access_token_that_the_server_takes_back_is_replaced(case: Case, tokens: TokenServer) -> None:
    assert case.rig.look() == ""
    case.rig.door._hang_up()
    tokens.access.clear()
    assert case.rig.look() == "login_refused"
    case.refused()
    assert case.rig.look() == ""


def test_the_end_of_a_refresh_token_is_told_a_week_before(tokens: TokenServer, tmp_path: Path) -> None:
    tokens.rotates = False
    with ImapServer() as server:
        case = Case(server, tokens, tmp_path, refresh_token_days=90)
        with case.rig as rig:
            import os

            at = rig.clock.now().timestamp()
            os.utime(case.file, (at, at))
            assert rig.look() == ""
            case.ledger.succeeded(0)
            assert rig.told("TokenExpiring") == []
            rig.clock.move(days=85)
            case.ledger.succeeded(0)
            case.ledger.succeeded(0)
            assert [line["days"] for line in rig.told("TokenExpiring")] == [5]
            with rig.store.read() as conn:
                assert expires_soon(mailboxes.health(conn, ["box"])[0], rig.clock.now())
            rig.clock.move(days=1)
            case.ledger.succeeded(0)
            assert len(rig.told("TokenExpiring")) == 2


def test_a_real_server_takes_our_token(tmp_path: Path) -> None:
    program = dovecot.find()
    if program is None:
        pytest.skip(f"no Dovecot 2.3 that can be run here; install one with: {dovecot.HOW_TO_INSTALL}")
    with TokenServer("tousu") as tokens, dovecot.running(program, f"{tokens.url}/introspect") as server:
        table = {
            "name": "tousu",
            "host": "localhost",
            "port": server.tls,
            "ca_file": str(server.ca),
            "user": "tousu",
            "auth": "oauth2",
            "token_url": f"{tokens.url}/token",
            "client_id": "me",
            "backfill": "all",
        }
        home = settings(tmp_path, table)
        (home / "secrets").mkdir(mode=0o700)
        (home / "secrets" / "mailbox-tousu.refresh-token").write_text("first")
        (home / "secrets" / "mailbox-tousu.refresh-token").chmod(0o600)
        with server.person("tousu") as person:
            person.arrive(letter())
        with RunningGateway(home) as gateway:
            taken(gateway, 1)
        assert [asked["refresh_token"] for asked in tokens.asked] == ["first"]
        assert "method=XOAUTH2" in server.log()
