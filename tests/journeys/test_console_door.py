"""Who may sign in to the console, how, and for how long; and what everybody else gets."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from console_house import PASSWORD, Visitor, complain, person
from factories import FakeClock
from fakes import eventually
from running import RunningGateway
from serving import Serving, run
from trackers import RunningTracker

from gateway import bootstrap, config
from gateway.oplog import OperatorLog
from gateway.staffing import IDLE, INVITED, SESSION, Patience, Staffing, TooSoon
from gateway.store import staff
from gateway.store.engine import Store
from models.errors import Refused
from models.staff import Role, Scope


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("door"), drop_enabled="false") as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def staffing(store: Store, clock: FakeClock) -> Staffing:
    return Staffing(store, clock, OperatorLog(stream=io.StringIO()), "the-file-token")


def test_from_the_link_to_the_queue_and_out_again(gateway: RunningGateway) -> None:
    link = gateway.app.staffing.add("李雷", Role.AGENT)
    visitor = Visitor(gateway)
    page = visitor.get(f"/console/invitation/{link}")
    assert page.status == 200
    assert "李雷" in page.text
    csrf = visitor.csrf(f"/console/invitation/{link}")
    for password, again, told in (
        ("short", "short", "至少 10"),
        ("x" * 40, "x" * 40, "容易猜到"),
        ("1234567890", "1234567890", "容易猜到"),
        (PASSWORD, PASSWORD + "x", "不一样"),
        ("", "", "至少 10"),
    ):
        refused = visitor.post(f"/console/invitation/{link}", {"csrf": csrf, "password": password, "again": again})
        assert refused.status == 422
        assert told in refused.text
    done = visitor.post(f"/console/invitation/{link}", {"csrf": csrf, "password": PASSWORD, "again": PASSWORD})
    assert (done.status, done.headers["location"]) == (303, "/console")
    cookie = next(one for one in done.cookies if one.startswith("jiesu="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert visitor.get("/console").status == 200
    # The link works once.
    assert Visitor(gateway).get(f"/console/invitation/{link}").status == 404
    out = visitor.post("/console/sign-out", {"csrf": visitor.csrf()})
    assert out.headers["location"] == "/console/sign-in"
    visitor.cookies["jiesu"] = re.search(r"jiesu=([^;]+)", cookie)[1]  # type: ignore[index]
    assert visitor.get("/console").status == 303
    back = visitor.sign_in("李雷", next="/console?channel=chat")
    assert back.headers["location"] == "/console?channel=chat"


def test_a_wrong_name_and_a_wrong_password_cannot_be_told_apart(gateway: RunningGateway) -> None:
    person(gateway, "韩梅梅", Role.AGENT)
    wrong, nobody = Visitor(gateway).sign_in("韩梅梅", "not the password"), Visitor(gateway).sign_in("不存在的人", "not the password")
    assert wrong.status == nobody.status == 403
    assert "姓名或口令不对" in wrong.text

    def told(text: str) -> str:
        return re.sub(r'value="[^"]*"', "", text)

    assert told(wrong.text) == told(nobody.text)


def test_guessing_is_made_slow(gateway: RunningGateway) -> None:
    person(gateway, "赵云", Role.AGENT)
    visitor = Visitor(gateway)
    found = [visitor.sign_in("赵云", f"guess number {guess}").status for guess in range(6)]
    assert found == [403] * 5 + [429]
    refused = visitor.sign_in("赵云")
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "秒后再试" in refused.text


PAGES = (
    ("GET", "/console"),
    ("GET", "/console?q=x"),
    ("GET", "/console/complaints/TS-20261124-0001"),
    ("GET", "/console/complaints/TS-20261124-0001/item"),
    ("GET", "/console/complaints/TS-20261124-0001/originals/1"),
    ("GET", "/console/complaints/TS-20261124-0001/attachments/1"),
    ("GET", "/console/complaints/TS-20261124-0001/attachments/1/preview"),
    ("GET", "/console/calls"),
    ("POST", "/console/calls/1/done"),
    ("GET", "/console/models"),
    ("GET", "/console/models/retraining"),
    ("GET", "/console/examples"),
    ("GET", "/console/examples/suspicious"),
    ("GET", "/console/endpoints"),
    ("GET", "/console/endpoints/tracker/rotate"),
    ("GET", "/console/deliveries"),
    ("GET", "/console/parked"),
    ("GET", "/console/reconcile"),
    ("GET", "/console/nothing"),
    ("POST", "/console/complaints/TS-20261124-0001/corrections"),
    ("POST", "/console/complaints/TS-20261124-0001/erase"),
    ("POST", "/console/undo"),
    ("POST", "/console/sign-out"),
    ("POST", "/console/models/retrain"),
    ("POST", "/console/models/promote"),
    ("POST", "/console/models/rollback"),
    ("POST", "/console/examples/1"),
    ("POST", "/console/endpoints/tracker/test"),
    ("POST", "/console/endpoints/tracker/rotate"),
    ("POST", "/console/deliveries/again"),
    ("POST", "/console/parked/replay"),
    ("GET", "/console/mailboxes"),
    ("GET", "/console/mailboxes/raw/1"),
    ("POST", "/console/mailboxes/look"),
    ("POST", "/console/mailboxes/try-again"),
    ("POST", "/console/mailboxes/replay"),
    ("GET", "/console/robots"),
    ("POST", "/console/robots/leads/test"),
    ("POST", "/console/complaints/TS-20261124-0001/answers"),
    ("GET", "/console/complaints/TS-20261124-0001/chat"),
    ("GET", "/console/complaints/TS-20261124-0001/chat/lines"),
    ("POST", "/console/complaints/TS-20261124-0001/chat/take"),
    ("POST", "/console/complaints/TS-20261124-0001/chat/hand-back"),
    ("POST", "/console/complaints/TS-20261124-0001/chat/answers"),
    ("POST", "/console/complaints/TS-20261124-0001/chat/typing"),
)
BY_OPERATORS = ("/console/mailboxes/", "/console/parked/", "/console/robots/", "/console/endpoints/tracker/rotate")
FOR_OPERATORS = [(method, path) for method, path in PAGES if method == "POST" and path.startswith(BY_OPERATORS)]
FOR_LEADS = [
    (method, path)
    for method, path in PAGES
    if re.search("/(models|examples|endpoints|deliveries|parked|reconcile|mailboxes|robots|erase)", path)
    and (method, path) not in FOR_OPERATORS
]


def test_the_list_above_names_every_page(gateway: RunningGateway) -> None:
    from gateway.web import app as web

    guard = web.create(gateway.app, None)
    there = {
        (method, route.path)
        for one in guard._app.routes  # type: ignore[attr-defined]
        for route in getattr(getattr(one, "original_router", None), "routes", [one])
        for method in getattr(route, "methods", None) or ()
        if route.path.startswith("/console") and method != "HEAD"
    }
    named = {
        (method, re.sub(r"TS-[\d-]+", "{number}", path.partition("?")[0]).replace("originals/1", "originals/{submission}"))
        for method, path in PAGES
    }
    named = {
        (
            method,
            path.replace("examples/1", "examples/{number}")
            .replace("calls/1", "calls/{call}")
            .replace("attachments/1", "attachments/{attachment}")
            .replace("raw/1", "raw/{job}")
            .replace("robots/leads", "robots/{name}")
            .replace("/nothing", "/{rest:path}"),
        )
        for method, path in named
    }
    named = {(method, path.replace("tracker/test", "{name}/{action}").replace("tracker/", "{name}/")) for method, path in named}
    open_to_all = {(m, p) for m in ("GET", "POST") for p in ("/console/sign-in", "/console/invitation/{token}")}
    assert there == named | open_to_all


@pytest.mark.parametrize(("method", "path"), PAGES)
def test_nothing_is_told_to_who_is_not_signed_in(gateway: RunningGateway, method: str, path: str) -> None:
    for cookies in ({}, {"jiesu": "wrong"}, {"jiesu": "x" * 5000}):
        visitor = Visitor(gateway)
        visitor.cookies = cookies
        answer = visitor.ask(method, path, {} if method == "POST" else None)
        assert answer.status == 303
        assert answer.headers["location"].startswith("/console/sign-in")
        assert answer.text == ""
        assert visitor.ask(method, path, {} if method == "POST" else None, X_Jiesu="1").status == 401


@pytest.mark.parametrize(("method", "path"), FOR_LEADS)
def test_what_is_for_leads_is_refused_to_agents_in_words(gateway: RunningGateway, method: str, path: str) -> None:
    agent = person(gateway, f"agent {method} {path}", Role.AGENT)
    answer = agent.ask(method, path, {"csrf": agent.csrf()} if method == "POST" else None)
    assert answer.status == 403
    assert "您的角色是“客服专员”，这一页需要“领导小组”" in answer.text
    english = agent.ask(method, path, {"csrf": "x"} if method == "POST" else None, Accept_Language="en")
    assert "Your role is agent; this needs lead" in english.text


@pytest.mark.parametrize(("method", "path"), FOR_OPERATORS)
def test_what_is_for_operators_is_refused_to_leads(gateway: RunningGateway, method: str, path: str) -> None:
    lead = person(gateway, f"lead {method} {path}", Role.LEAD)
    answer = lead.ask(method, path, {"csrf": lead.csrf()})
    assert answer.status == 403
    assert "这一页需要“管理员”" in answer.text


@pytest.mark.parametrize(("method", "path"), [one for one in PAGES if one[0] == "POST"])
def test_a_form_without_the_sessions_own_token_changes_nothing(gateway: RunningGateway, method: str, path: str) -> None:
    mine = person(gateway, f"mine {path}", Role.OPERATOR)
    other = person(gateway, f"other {path}", Role.OPERATOR)
    for fields in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": other.csrf()}):
        answer = mine.post(path, {"class": "price", **fields})
        assert answer.status == 403
        assert "页面已过期" in answer.text
    stolen = mine.post(path, {"class": "price", "csrf": mine.csrf()}, Sec_Fetch_Site="cross-site")
    assert stolen.status == 403
    assert mine.post(path, {}, Content_Type="text/plain").status == 415
    assert mine.ask("POST", path, {f"f{n}": "x" for n in range(60)}).status == 400
    assert mine.get("/console").status == 200


def test_signing_in_wants_a_form_of_ours(gateway: RunningGateway) -> None:
    person(gateway, "周瑜", Role.AGENT)
    fields = {"name": "周瑜", "password": PASSWORD}
    assert Visitor(gateway).post("/console/sign-in", fields).status == 403
    visitor = Visitor(gateway)
    visitor.csrf("/console/sign-in")
    assert visitor.post("/console/sign-in", {**fields, "csrf": "guessed"}).status == 403
    assert "jiesu" not in visitor.cookies


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/chat",
        "/consoles",
        "javascript:alert(1)",
        "/console/\r\nX: y",
        "/console/\\x",
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(gateway: RunningGateway, where: str) -> None:
    name = f"next {where}"[:40].replace("\r\n", "")
    person(gateway, name, Role.AGENT)
    assert Visitor(gateway).sign_in(name, next=where).headers["location"] == "/console"


def test_every_page_is_guarded_and_in_both_languages(gateway: RunningGateway) -> None:
    number = complain(gateway, "你好，想问一下")
    lead = person(gateway, "曹操", Role.LEAD)
    for path in (
        "/console",
        f"/console/complaints/{number}",
        "/console/models",
        "/console/examples",
        "/console/nothing",
        "/console/sign-in",
    ):
        for lang, tag in (("zh", "zh-CN"), ("en", "en")):
            answer = lead.get(f"{path}?lang={lang}")
            assert f'<html lang="{tag}">' in answer.text
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script(?! src=\"/static/)|\son\w+=|style=", answer.text)
    # What was chosen is remembered.
    assert '<html lang="en">' in lead.get("/console").text
    assert "%22%3E" not in lead.get("/console?lang=%22%3E%3Cscript%3E").text.split("<body")[0]


def test_with_tls_the_cookie_is_tied_to_this_host(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, smtp_enabled="false", drop_enabled="false", web_public_url="https://desk.example/") as gateway:
        visitor = Visitor(gateway)
        page = visitor.get("/console/sign-in")
        assert all("Secure" in cookie for cookie in page.cookies)
        assert "__Host-jiesu-door" in visitor.cookies
        gateway.app.staffing.set_password(gateway.app.staffing.add("甲", Role.AGENT), PASSWORD)
        cookie = next(one for one in visitor.sign_in("甲").cookies if one.startswith("__Host-jiesu="))
        assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


def test_a_session_ends_when_nobody_uses_it_and_in_any_case(staffing: Staffing, clock: FakeClock, store: Store) -> None:
    def signed_in() -> str:
        found = staffing.sign_in("甲", PASSWORD, "127.0.0.1")
        assert found
        return found.token

    assert staffing.set_password(staffing.add("甲", Role.AGENT), PASSWORD)
    token = signed_in()
    for _ in range(3):
        clock.at += IDLE - timedelta(minutes=2)
        assert staffing.session(token)
    clock.at += IDLE
    assert staffing.session(token) is None
    token, begun = signed_in(), clock.at
    while clock.at < begun + SESSION - timedelta(hours=1):
        clock.at += timedelta(hours=1)
        assert staffing.session(token)
    clock.at += timedelta(hours=1)
    assert staffing.session(token) is None
    # Only hashes are kept, and what is over is swept out.
    token = signed_in()
    with store.read() as conn:
        assert staff.session(conn, token) is None
        assert staff.count_sessions(conn) == 1


def test_disabling_and_a_new_password_end_every_session(staffing: Staffing) -> None:
    first = staffing.set_password(staffing.add("甲", Role.AGENT), PASSWORD)
    assert first
    assert staffing.session(first.token)
    second = staffing.set_password(staffing.invite("甲"), PASSWORD + " new")
    assert second
    assert staffing.session(first.token) is None
    assert staffing.sign_in("甲", PASSWORD, "a") is None
    link = staffing.invite("甲")
    staffing.disable("甲")
    assert staffing.session(second.token) is None
    assert staffing.invited(link) is None
    assert staffing.sign_in("甲", PASSWORD + " new", "a") is None
    staffing.give_role("甲", Role.LEAD)
    assert staffing.set_password(staffing.invite("甲"), PASSWORD)
    back = staffing.sign_in("甲", PASSWORD, "a")
    assert back
    assert back.session.person.role is Role.LEAD


def test_a_link_runs_out_and_a_newer_one_makes_it_void(staffing: Staffing, clock: FakeClock) -> None:
    link = staffing.add("甲", Role.AGENT)
    newer = staffing.invite("甲")
    assert staffing.invited(link) is None
    clock.at += INVITED
    assert staffing.invited(newer) is None
    assert staffing.set_password(newer, PASSWORD) is None


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "a\u202eb", "\x00"])
def test_names_that_will_not_do(staffing: Staffing, name: str) -> None:
    with pytest.raises(Refused):
        staffing.add(name, Role.AGENT)
    with pytest.raises(Refused):
        staffing.add_token(name, [Scope.REVIEW_READ])


def test_names_are_taken_once_and_odd_ones_are_found_again(staffing: Staffing) -> None:
    for name in ('O\'Neil "x" <b>', "王静", "%_\\"):
        assert staffing.set_password(staffing.add(name, Role.AGENT), PASSWORD)
        with pytest.raises(Refused):
            staffing.add(f" {name} ", Role.LEAD)
        assert staffing.sign_in(name, PASSWORD, name)
    assert staffing.sign_in("_", PASSWORD, "a") is None


def test_the_wait_grows_and_is_forgotten_after_success(staffing: Staffing, clock: FakeClock) -> None:
    assert staffing.set_password(staffing.add("甲", Role.AGENT), PASSWORD)
    for _ in range(5):
        assert staffing.sign_in("甲", "wrong", "10.0.0.1") is None
    waits = []
    for _ in range(12):
        with pytest.raises(TooSoon) as refused:
            staffing.sign_in("甲", PASSWORD, "10.0.0.2")
        waits.append(refused.value.seconds)
        clock.at += timedelta(seconds=refused.value.seconds)
        assert staffing.sign_in("甲", "wrong", "10.0.0.2") is None
    assert waits == sorted(waits)
    assert waits[0] <= 4
    assert waits[-1] >= 900
    clock.at += timedelta(seconds=901)
    assert staffing.sign_in("甲", PASSWORD, "10.0.0.3")
    assert staffing.sign_in("甲", "wrong", "10.0.0.3") is None
    assert staffing.sign_in("甲", PASSWORD, "10.0.0.3")


def test_one_address_cannot_try_many_names(staffing: Staffing) -> None:
    for place in range(20):
        assert staffing.sign_in(f"nobody {place}", "wrong", "10.0.0.9") is None
    with pytest.raises(TooSoon):
        staffing.sign_in("somebody else", "wrong", "10.0.0.9")


def test_what_is_remembered_of_guessers_is_bounded(clock: FakeClock) -> None:
    patience = Patience(1)
    for place in range(10_500):
        patience.wrong(str(place), clock.now())
    assert len(patience._wrong) == 10_000
    assert patience.wait("0", clock.now()) == 0
    assert patience.wait("10499", clock.now()) > 0
    # A clock that is set back locks nobody out for longer than the wait.
    clock.move(days=-3)
    assert patience.wait("10499", clock.now()) <= 2


def test_the_first_start_gives_one_link_and_no_default_password(tmp_path: Path) -> None:
    with RunningTracker() as tracker:
        first = Serving(tmp_path, tracker)
        try:
            pattern = r"http://\S+/console/invitation/([\w-]{43})"
            assert eventually(lambda: re.search(pattern, (tmp_path / "log").read_text("utf-8")))
            listed = [json.loads(line) for line in run(tmp_path, "people", "list", "--json").stdout.splitlines()]
            assert [(one["name"], one["role"], one["ready"]) for one in listed] == [("admin", "operator", False)]
            added = run(tmp_path, "people", "add", "王静", "--role", "lead")
            assert re.fullmatch(rf"{re.escape(first.doors['web'])}/console/invitation/[\w-]{{43}}\n", added.stdout)
            assert "24" in added.stderr
        finally:
            first.process.terminate()
            assert first.process.wait(60) == 0
        second = Serving(tmp_path, tracker)
        second.process.terminate()
        assert second.process.wait(60) == 0
        assert "/console/invitation/" not in (tmp_path / "log").read_text("utf-8")


def test_people_and_tokens_on_the_command_line(tmp_path: Path) -> None:
    assert run(tmp_path, "people", "add", "王静", "--role", "boss").returncode == 2
    assert run(tmp_path, "people", "add", "王静", "--role", "agent").returncode == 0
    again = run(tmp_path, "people", "add", "王静", "--role", "agent")
    assert again.returncode == 1
    assert "王静" in again.stderr
    assert run(tmp_path, "people", "role", "王静", "--role", "lead").returncode == 0
    assert run(tmp_path, "people", "invite", "王静").stdout.startswith("http://127.0.0.1:8000/console/invitation/")
    assert run(tmp_path, "people", "disable", "王静").returncode == 0
    for command in ("invite", "disable"):
        missing = run(tmp_path, "people", command, "没有的人")
        assert missing.returncode == 1
        assert "没有名为“没有的人”的人员" in missing.stderr
    assert "已停用" in run(tmp_path, "people", "list").stdout
    assert run(tmp_path, "token", "add", "desk", "--scope", "everything").returncode == 2
    made = run(tmp_path, "token", "add", "desk", "--scope", "review:read", "--scope", "review:write")
    assert re.fullmatch(r"jiesu_[\w-]{43}\n", made.stdout)
    assert run(tmp_path, "token", "add", "desk", "--scope", "review:read").returncode == 1
    listed = json.loads(run(tmp_path, "token", "list", "--json").stdout)
    assert (listed["name"], listed["scopes"], listed["disabled"]) == ("desk", ["review:read", "review:write"], False)
    assert made.stdout.strip() not in run(tmp_path, "token", "list").stdout
    renewed = run(tmp_path, "token", "renew", "desk")
    assert (renewed.returncode, renewed.stdout.startswith("jiesu_"), renewed.stdout == made.stdout) == (0, True, False)
    assert "jiesu token renew" in run(tmp_path, "token", "add", "desk", "--scope", "review:read").stderr
    assert run(tmp_path, "token", "renew", "no").returncode == 1
    assert run(tmp_path, "token", "disable", "desk").returncode == 0
    assert run(tmp_path, "token", "disable", "no").returncode == 1
    app = bootstrap.build(config.load({"JIESU_HOME": str(tmp_path)}), log=OperatorLog(stream=io.StringIO()), serving=False)
    try:
        assert app.staffing.caller(made.stdout.strip()) is None
    finally:
        app.close()


def test_no_name_and_no_secret_reaches_the_operator_log(gateway: RunningGateway) -> None:
    visitor = person(gateway, "秘密的名字", Role.AGENT)
    visitor.sign_in("秘密的名字", "秘密的口令而且是错的")
    visitor.get(f"/console?q={quote('秘密的搜索')}")
    assert "秘密" not in json.dumps(gateway.log(), ensure_ascii=False)
    assert {"SignInRefused", "PasswordSet", "PeopleChanged"} <= {line["verb"] for line in gateway.log()}
