"""Rows of which the ids are given: one parameter, however many they are, so that one statement serves and is compiled once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY


def among(field: Column[Any], *, sqlite: bool, name: str = "ids") -> ColumnElement[bool]:
    """Whether a whole-number column is one of those that the parameter `name` will hold, as `spelt` writes them."""
    if sqlite:
        each = func.json_each(bindparam(name)).table_valued(column("value", BigInteger))
        return field.in_(select(each.c.value))
    return field == any_(bindparam(name, type_=ARRAY(BigInteger)))


def spelt(conn: Connection, ids: Sequence[int]) -> Any:
    """The value of that parameter."""
    return json.dumps(list(ids)) if is_sqlite(conn) else list(ids)


def is_sqlite(conn: Connection) -> bool:
    """Whether this connection leads to SQLite."""
    return conn.dialect.name == "sqlite"
