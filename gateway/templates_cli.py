"""The command `templates`: lays the shipped words of answers into the home, where the company changes them."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway import config
from gateway.terminal import out
from models.errors import BadSetting


def templates(
    names: Annotated[
        list[str] | None, typer.Argument(help="模板名，如 acknowledgement。 Names; all when none is given.", metavar="NAME…")
    ] = None,
) -> None:
    """把随附的答复模板放进数据目录的 templates/ 以便修改；已有的不动。 Lays the shipped templates into the home; leaves what is there."""
    from gateway import home, wording

    chosen = names or list(wording.TEMPLATES)
    for name in chosen:
        if name not in wording.TEMPLATES:
            known = ", ".join(wording.TEMPLATES)
            raise BadSetting("NAME…", f"“{name}” 不行，应为 {known} 之一", f"'{name}' will not do: one of {known}")
    folder = config.home() / "templates"
    home.prepare(config.home())
    folder.mkdir(exist_ok=True, mode=0o700)
    for (name, language), text in wording.shipped().items():
        path = folder / f"{name}.{language}.txt"
        if name not in chosen:
            continue
        if path.exists():
            out.print(f"已存在，未改动：{path}  exists, left alone", markup=False)
            continue
        path.write_text(text, "utf-8")
        out.print(f"已写出 {path}  written", markup=False)
