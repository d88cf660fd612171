"""People who work with complaints, what each may do, and what a program's token opens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a person may do; each role may do all that those before it may."""

    # Reviews and corrects.
    AGENT = "agent"
    # Sees who disagrees, promotes, rolls back, settles examples.
    LEAD = "lead"
    # Everything.
    OPERATOR = "operator"

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what `other` may."""
        return list(Role).index(self) >= list(Role).index(other)


class Scope(StrEnum):
    """What a program's token opens."""

    COMPLAINTS_READ = "complaints:read"
    COMPLAINTS_WRITE = "complaints:write"
    COMPLAINTS_ERASE = "complaints:erase"
    REVIEW_READ = "review:read"
    REVIEW_WRITE = "review:write"
    ANSWERS_WRITE = "answers:write"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    EXAMPLES_READ = "examples:read"
    EXAMPLES_WRITE = "examples:write"
    TRANSCRIPTS_WRITE = "transcripts:write"
    # For an address that a speech service calls back; opens nothing else.
    TRANSCRIPTS_CALLBACK = "transcripts:callback"
    MAILBOXES_READ = "mailboxes:read"
    PARKED_READ = "parked:read"
    PARKED_WRITE = "parked:write"
    EVENTS_READ = "events:read"
    ROBOTS_READ = "robots:read"
    ROBOTS_WRITE = "robots:write"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. `ready` says whether a password was set; `invited_until` how long a one-time link can be used."""

    id: int
    name: str
    role: Role
    ready: bool
    invited_until: datetime | None
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in. `csrf` must come with everything that changes anything."""

    person: Person
    csrf: str
    created_at: datetime
    seen_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that showed a token. `name` is empty for the token in the home's file, which opens everything."""

    name: str
    scopes: frozenset[Scope]
