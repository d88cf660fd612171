"""The console's door: who asks, whether he may, in which language; signing in and out, and one-time links. No page is made without it."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode
from zoneinfo import ZoneInfo

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment

from gateway.bootstrap import App
from gateway.staffing import SESSION, SignedIn, TooSoon
from gateway.web import console_view
from gateway.web.console_words import Language, Say
from models.errors import JiesuError
from models.staff import Person, Role, Session

# A form of ours has a handful of fields.
_MOST_FIELDS = 50
# What a script of ours says with each request, so that it is answered by a part of a page or by JSON.
_BY_SCRIPT = "x-jiesu"
# What the page after a change is to say.
_TOLD = "jiesu-told"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a person who is signed in. `warnings`: what a lead should see on every page, and which page says more."""

    request: Request
    session: Session
    say: Say
    warnings: tuple[tuple[str, str], ...] = ()
    # Endpoints that somebody must look at.
    troubles: tuple[str, ...] = ()

    @property
    def person(self) -> Person:
        """Who asks."""
        return self.session.person

    def may(self, role: str) -> bool:
        """Whether the person has this role or one above it."""
        return self.person.role.includes(Role(role))

    @property
    def by_script(self) -> bool:
        """Whether our own script asks, which wants parts of pages."""
        return by_script(self.request)


class SignInFirst(Exception):
    """Nobody is signed in."""


class Wrong(Exception):
    """The request cannot be answered as it was meant: a status, and words for the person."""

    def __init__(self, status: int, key: str, **fill: object) -> None:
        super().__init__(key)
        self.status, self.key, self.fill = status, key, fill


class Forbidden(Wrong):
    """The person may not do this."""

    def __init__(self, role: Role, needed: Role) -> None:
        super().__init__(403, "wrong.forbidden")
        self.role, self.needed = role, needed


def by_script(request: Request) -> bool:
    """Whether our own script asks."""
    return request.headers.get(_BY_SCRIPT) == "1"


class Door:
    """Lets people in, and gives them pages."""

    def __init__(self, app: App, pages: Environment) -> None:
        self._app, self._pages = app, pages
        web = app.settings.web
        self._secure = bool(web.tls_certificate) or web.public_url.startswith("https://")
        prefix = "__Host-" if self._secure else ""
        self._cookie, self._before, self._lang = f"{prefix}jiesu", f"{prefix}jiesu-door", "jiesu-lang"
        self._zone = ZoneInfo(app.settings.general.timezone)

    # ---- Who, and whether ------------------------------------------------------------------------------------------------------------

    async def enter(self, request: Request, role: Role = Role.AGENT) -> Visit:
        """Who asks. Raises `SignInFirst` or `Forbidden`. The first line of everything that the console answers."""
        token = request.cookies.get(self._cookie, "")
        session = await anyio.to_thread.run_sync(self._app.staffing.session, token) if token else None
        if session is None:
            raise SignInFirst
        if not session.person.role.includes(role):
            raise Forbidden(session.person.role, role)
        say = Say(self.language(request))
        # Parts of pages, which our script asks for, have no room for warnings.
        warned = session.person.role.includes(Role.LEAD) and not by_script(request)
        if not warned:
            return Visit(request, session, say)
        return Visit(request, session, say, *await anyio.to_thread.run_sync(self._warnings, say))

    def _warnings(self, say: Say) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        failing, expiring = self._app.mailboxes.warnings()
        told = [
            ("warning.mailboxes", failing, "/console/mailboxes"),
            ("warning.tokens", expiring, "/console/mailboxes"),
            ("warning.robots", self._app.alarms.robots.failing(), "/console/robots"),
        ]
        warnings = tuple((say(key, names=", ".join(names)), page) for key, names, page in told if names)
        if parked := self._app.quarantine.count():
            warnings = (*warnings, (say("warning.parked", n=parked), "/console/parked"))
        troubles = dict.fromkeys([*self._app.redelivery.troubles(), *self._app.polls.failing()])
        return warnings, tuple(troubles)

    async def posted(self, request: Request, role: Role = Role.AGENT) -> tuple[Visit, dict[str, str]]:
        """Who asks for a change, and the fields of the form. Raises `Wrong` unless the session's own CSRF token came along."""
        visit = await self.enter(request, role)
        fields = await form_of(request)
        if not _from_here(request) or not hmac.compare_digest(fields.get("csrf", "").encode(), visit.session.csrf.encode()):
            raise Wrong(403, "wrong.csrf")
        return visit, fields

    def language(self, request: Request) -> Language:
        """By the address, else as chosen before, else as the browser asks."""
        for asked in (request.query_params.get("lang"), request.cookies.get(self._lang)):
            if asked in ("zh", "en"):
                return "zh" if asked == "zh" else "en"
        return "en" if request.headers.get("accept-language", "zh").lower().startswith("en") else "zh"

    # ---- Pages -----------------------------------------------------------------------------------------------------------------------

    def page(self, visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page, or a part of one, for a person who is signed in."""
        words = {"visit": visit, "session": visit.session, "person": visit.person}
        told = unquote(visit.request.cookies.get(_TOLD, ""))
        answer = self.bare(visit.request, template, status=status, say=visit.say, told=told, **words, **values)
        if told:
            answer.set_cookie(_TOLD, "", max_age=0, path="/console", httponly=True, samesite="strict", secure=self._secure)
        return answer

    def bare(self, request: Request, template: str, *, status: int = 200, say: Say | None = None, **values: Any) -> Response:
        """A page for anybody."""
        say = say or Say(self.language(request))
        times = console_view.Times(say, self._zone, self._app.clock.now())
        made = self._pages.get_template(template).render(
            say=say, lang=say.language, times=times, other_language=_with_language(request, say.language), request=request, **values
        )
        answer = HTMLResponse(made, status)
        if request.query_params.get("lang") in ("zh", "en"):
            answer.set_cookie(self._lang, say.language, max_age=31_536_000, httponly=True, samesite="strict", secure=self._secure)
        return answer

    def wrong(self, request: Request, status: int, words: str, *, retry_after: int | None = None) -> Response:
        """What went wrong, in words: as JSON for our script, else as a page."""
        headers = {"Retry-After": str(retry_after)} if retry_after else None
        if by_script(request):
            return JSONResponse({"said": words}, status, headers)
        answer = self.bare(request, "console_wrong.html", status=status, words=words)
        answer.headers.update(headers or {})
        return answer

    # ---- Cookies ---------------------------------------------------------------------------------------------------------------------

    def keep(self, answer: Response, signed_in: SignedIn) -> None:
        """Gives the browser its session."""
        self._set(answer, self._cookie, signed_in.token, int(SESSION.total_seconds()))
        self._set(answer, self._before, "", 0)

    def drop(self, answer: Response) -> None:
        """Takes it away again."""
        self._set(answer, self._cookie, "", 0)

    def tell(self, answer: Response, words: str) -> None:
        """Lets the next page say this, once."""
        answer.set_cookie(_TOLD, quote(words), max_age=60, path="/console", httponly=True, samesite="strict", secure=self._secure)

    def token_of(self, request: Request) -> str:
        """The session's token that the browser shows."""
        return request.cookies.get(self._cookie, "")

    def before(self, request: Request) -> str:
        """What a form must repeat where nobody is signed in yet."""
        return request.cookies.get(self._before, "") or secrets.token_urlsafe(32)

    def keep_before(self, answer: Response, value: str) -> None:
        """Lets the browser show it again with the form."""
        self._set(answer, self._before, value, 3600)

    def repeats(self, request: Request, fields: Mapping[str, str]) -> bool:
        """Whether a form came from a page that we gave this browser."""
        kept = request.cookies.get(self._before, "")
        return bool(kept) and _from_here(request) and hmac.compare_digest(fields.get("csrf", "").encode(), kept.encode())

    def _set(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=self._secure)


def routes(app: App, door: Door) -> APIRouter:
    """Signing in and out, and one-time links."""
    router = APIRouter(prefix="/console", include_in_schema=False)

    def form_page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
        csrf = door.before(request)
        answer = door.bare(request, template, status=status, csrf=csrf, **values)
        door.keep_before(answer, csrf)
        return answer

    def sign_in_page(request: Request, status: int = 200, **values: Any) -> Response:
        return form_page(request, "console_sign_in.html", status, **{"next": request.query_params.get("next", ""), **values})

    def signed_in(where: str, session: SignedIn) -> Response:
        answer = RedirectResponse(where, 303)
        door.keep(answer, session)
        return answer

    @router.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        return sign_in_page(request)

    @router.post("/sign-in")
    async def check(request: Request) -> Response:
        say = Say(door.language(request))
        fields = await form_of(request)
        name, where = fields.get("name", ""), fields.get("next", "")
        if not door.repeats(request, fields):
            return sign_in_page(request, 403, wrong=say("wrong.csrf"), name=name, next=where)
        try:
            found = await anyio.to_thread.run_sync(app.staffing.sign_in, name, fields.get("password", ""), address_of(request))
        except TooSoon as error:
            answer = sign_in_page(request, 429, wrong=say.either(error.zh, error.en), name=name, next=where)
            answer.headers["Retry-After"] = str(error.seconds)
            return answer
        if found is None:
            return sign_in_page(request, 403, wrong=say("sign_in.wrong"), name=name, next=where)
        return signed_in(safe_next(where), found)

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        await door.posted(request)
        await anyio.to_thread.run_sync(app.staffing.sign_out, door.token_of(request))
        answer = RedirectResponse("/console/sign-in", 303)
        door.drop(answer)
        return answer

    @router.get("/invitation/{token}")
    async def invitation(token: str, request: Request) -> Response:
        person = await anyio.to_thread.run_sync(app.staffing.invited, token)
        if person is None:
            raise Wrong(404, "invitation.gone")
        return form_page(request, "console_invitation.html", invited=person)

    @router.post("/invitation/{token}")
    async def accept(token: str, request: Request) -> Response:
        say = Say(door.language(request))
        fields = await form_of(request)
        person = await anyio.to_thread.run_sync(app.staffing.invited, token)
        if person is None:
            raise Wrong(404, "invitation.gone")
        wrong = None
        if not door.repeats(request, fields):
            wrong = say("wrong.csrf")
        elif fields.get("password", "") != fields.get("again", ""):
            wrong = say("invitation.differ")
        else:
            try:
                found = await anyio.to_thread.run_sync(app.staffing.set_password, token, fields.get("password", ""))
            except JiesuError as error:
                wrong = say.either(error.zh, error.en)
            else:
                if found is None:
                    raise Wrong(404, "invitation.gone")
                return signed_in("/console", found)
        return form_page(request, "console_invitation.html", 422, invited=person, wrong=wrong)

    return router


def install(web: FastAPI, door: Door) -> None:
    """How the web application answers to what the door raises."""

    @web.exception_handler(SignInFirst)
    async def sign_in_first(request: Request, _error: SignInFirst) -> Response:
        where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        there = "/console/sign-in" + (f"?{urlencode({'next': where})}" if request.method == "GET" and where != "/console" else "")
        return JSONResponse({"sign_in": "/console/sign-in"}, 401) if by_script(request) else RedirectResponse(there, 303)

    @web.exception_handler(Wrong)
    async def wrong(request: Request, error: Wrong) -> Response:
        say = Say(door.language(request))
        return door.wrong(request, error.status, say(error.key, **error.fill))

    @web.exception_handler(Forbidden)
    async def forbidden(request: Request, error: Forbidden) -> Response:
        say = Say(door.language(request))
        words = say("wrong.forbidden", role=say(f"role.{error.role}"), needed=say(f"role.{error.needed}"))
        return door.wrong(request, 403, words)


def is_console(request: Request) -> bool:
    """Whether a person's page is asked for rather than a program's answer."""
    return request.url.path == "/console" or request.url.path.startswith("/console/")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that comes twice the last. Raises `Wrong` for what is no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Wrong(415, "wrong.form")
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise Wrong(400, "wrong.form") from None


def address_of(request: Request) -> str:
    """Whom to make wait: an address, or the network that one household has in IPv6."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return "?"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


def safe_next(where: str) -> str:
    """A page of the console, or its first page; never another site."""
    inside = where == "/console" or where.startswith(("/console/", "/console?"))
    # A browser takes a backslash for a slash and passes over controls.
    return where if inside and "\\" not in where and where.isprintable() and where.isascii() else "/console"


def _from_here(request: Request) -> bool:
    # Every browser of the last years says where a request comes from; one that does not has the token to show all the same.
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _with_language(request: Request, language: str) -> str:
    other = "en" if language == "zh" else "zh"
    kept = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
    # The page that a form was sent to cannot be asked for with GET.
    path = request.url.path if request.method == "GET" else "/console"
    return f"{path}?{urlencode([*kept, ('lang', other)])}" if request.method == "GET" else f"{path}?lang={other}"
