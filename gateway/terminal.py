"""What the commands print with: one console for answers, one for people, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def bar(total: int | None = None) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on standard error, for people only. The yielded function takes what is being done and how much is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=total or 100)

        def tell(what: str, done: float) -> None:
            progress.update(task, description=what, completed=done if total else round(done * 100))

        yield tell


def local_time(at: datetime | None, zone: ZoneInfo) -> str:
    """A time as the console shows it, in the zone of the settings, and which zone that is; a dash where there is none."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if at else "—"
