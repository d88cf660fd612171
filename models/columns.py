"""Kinds of column, beside `tables` the only file of `models/` that knows SQLAlchemy.

Times are kept in UTC and come back aware. Texts are cleaned of NUL bytes and lone surrogates on their way in, because PostgreSQL refuses
them and SQLite does not: the raw bytes in `submissions.raw` stay as they came.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator


def storable(text: str) -> str:
    """The text without what PostgreSQL refuses: NUL and lone surrogates become U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _storable_value(value: object) -> object:
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(str(key)): _storable_value(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_storable_value(entry) for entry in value]
    return value


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware in, UTC out; SQLite has no zones, so there the zone is dropped."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Always aware, always UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text from outside, made storable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """NUL and lone surrogates replaced."""
        return None if value is None else storable(value)


class Json(TypeDecorator[object]):
    """A JSON value, kept as text: nobody searches inside it, and both databases keep it alike."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        """Compact, readable Chinese, storable."""
        if value is None:
            return None
        return json.dumps(_storable_value(value), ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:
        """The value again."""
        return None if value is None else json.loads(value)
