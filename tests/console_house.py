"""A person at the console, as a browser without scripts: keeps cookies, repeats the hidden fields of forms."""

from __future__ import annotations

import html
import http.client
import re
import smtplib
from typing import Any
from urllib.parse import urlencode

from factories import mail
from fakes import eventually
from running import RunningGateway

from models.staff import Role

PASSWORD = "correct horse battery"
SECONDS = 20


class Answer:
    """What came back."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.bytes = answer.status, answer.read()
        self.text = self.bytes.decode("utf-8", "replace")
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.cookies = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]


class Visitor:
    """Somebody with a browser."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None, **headers: str) -> Answer:
        host, _, port = self.gateway.web.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("Accept-Language", "zh-CN")
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if fields is not None:
            body = urlencode(fields)
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        try:
            connection.request(method, path, body, sent)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        return self.ask("POST", path, fields, **headers)

    def csrf(self, path: str = "/console") -> str:
        """The token that the forms of a page carry."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found
        return html.unescape(found[1])

    def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> Answer:
        csrf = self.csrf("/console/sign-in")
        return self.post("/console/sign-in", {"csrf": csrf, "name": name, "password": password, **more})

    def decide(self, number: str, klass: str, **more: str) -> Answer:
        return self.post(f"/console/complaints/{number}/corrections", {"csrf": self.csrf(), "class": klass, **more})


def person(gateway: RunningGateway, name: str, role: Role) -> Visitor:
    """Somebody who is signed in."""
    signed_in = gateway.app.staffing.set_password(gateway.app.staffing.add(name, role), PASSWORD)
    assert signed_in
    visitor = Visitor(gateway)
    visitor.cookies["jiesu"] = signed_in.token
    return visitor


def complain(gateway: RunningGateway, body: str, subject: str = "投诉", sender: str = "林树 <lin@mail.example>") -> str:
    """A mail that has been sorted; its number."""
    with smtplib.SMTP(*gateway.smtp, timeout=SECONDS) as smtp:
        smtp.ehlo("here.example")
        smtp.mail("lin@mail.example")
        smtp.rcpt("tousu@jiesu.example")
        code, answer = smtp.data(mail(subject, body, sender))
    assert code == 250
    number = answer.decode().split()[-1]

    def is_sorted() -> Any:
        story = gateway.app.desk.story(number)
        return story is not None and story.verdicts

    eventually(is_sorted)
    return number
