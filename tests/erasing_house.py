"""A gateway, and a person whose words are looked for in every table after he was erased."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from answering_house import MAIL, message
from fakes import FakeSender
from handoff_house import House
from sqlalchemy import inspect, select

from gateway.store import events
from models.submission import Channel, Submission
from models.tables import metadata

NAME, PHONE, BOX, ESTATE, UNIT, WORDS = "诸葛树人", "13912345678", "zhuge@wolong.example", "隆中花园", "7栋2单元1803", "茅庐漏雨"
SECRETS = (NAME, PHONE, BOX, ESTATE, UNIT, WORDS, "wolong", "12345678")
ids = itertools.count(1)
TEXT = f"合同问题：我叫{NAME}，电话{PHONE}，{ESTATE}{UNIT}，{WORDS}"


def opened(request: pytest.FixtureRequest, home: Path) -> Iterator[House]:
    """The house of a fixture that is asked for `sqlite` or `postgresql`."""
    url = {} if request.param == "sqlite" else {"JIESU_STORE_URL": request.getfixturevalue("postgres_url")}
    bi = '[[endpoint]]\nname = "bi"\nurl = "http://x.example/bi"\ntypes = ["*"]\n'
    none = '[[endpoint]]\nname = "none"\nurl = "http://x.example/none"\nclasses = ["service_attitude"]\n'
    made = House(home, bi + none, **url, **MAIL)
    made.sender.of["tracker"] = Echo()
    yield made
    made.app.close()


class Echo(FakeSender):
    """A receiver that repeats what it was sent, as those do that are badly made."""

    def send(self, outgoing: Any) -> Any:
        return [replace(one, answer=sent.body.decode()[:4000]) for one, sent in zip(super().send(outgoing), outgoing, strict=True)]


def mailed(house: House, body: str, subject: str, **headers: str) -> str:
    raw = message(body, subject, From=f"{NAME} <{BOX}>", **headers)
    envelope = {"door": "imap", "mailbox": "kefu", "mail_from": BOX, "rcpt_tos": ["tousu@jiesu.example"]}
    return taken(house, Submission(Channel.EMAIL, raw, "message/rfc822", f"mail:{next(ids)}:{PHONE}", house.clock.now(), None, envelope))


def taken(house: House, submission: Submission) -> str:
    number = house.app.accept(submission).number
    house.clock.move(seconds=9)
    house.app.worker.drain()
    return number


def found_in(house: House, *secrets: str) -> set[str]:
    """The tables and columns in which one of these words stands, however it is spelt."""
    spelt = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
    coded = {base64.b64encode(secret.encode()[shift:]).decode().rstrip("=")[:-1] for secret in secrets for shift in range(3)}
    seen = set()
    with house.app.store.read() as conn:
        assert set(inspect(conn).get_table_names()) - {"alembic_version"} == set(metadata.tables)
        for table in metadata.sorted_tables:
            if table.name == "trained_models":
                continue
            for row in conn.execute(select(table)).mappings():
                for column, value in row.items():
                    text = (
                        value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, default=str)
                    )
                    if any(one in text for one in spelt) or any(one in text for one in coded):
                        seen.add(f"{table.name}.{column}")
    return seen


def of(house: House, number: str) -> Any:
    with house.app.store.read() as conn:
        return events.of_number(conn, number)


def unexplained(house: House) -> int:
    return house.app.reconciliation.report(house.clock.now() - timedelta(days=1), house.clock.now() + timedelta(days=1)).unexplained
