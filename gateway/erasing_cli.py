"""The command `erase`: whose complaint it was goes, after a look at what that means (docs/erasure.md)."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Annotated

import typer

from gateway.staff import opened_app
from gateway.terminal import err, out


def erase(
    number: Annotated[str, typer.Argument(help="投诉编号。 The complaint's number.", metavar="NUMBER")],
    reason: Annotated[
        str, typer.Option("--reason", help="person_asked（本人要求）或 retention（保存期满）。 Why: the person asked, or the time is over.")
    ] = "person_asked",
    by: Annotated[str, typer.Option("--by", help="谁删除的；默认为当前账号。 Who erases; this account by default.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只看会删什么。 Only tell what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问。 Ask nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON。 As JSON.")] = False,
) -> None:
    """删除一件投诉的顾客信息（个人信息保护法第四十七条），不可恢复。 Erases whose complaint it was; cannot be taken back."""
    from gateway.erasing import Reason
    from models.errors import Refused

    if reason not in list(Reason):
        known = ", ".join(Reason)
        raise Refused("bad_reason", f"--reason：应为 {known} 之一", f"--reason: must be one of {known}")
    with opened_app() as app:
        found = app.erasing.preview(number)
        if not dry_run and not yes:
            _tell_of(found.as_json())
            if not sys.stdin.isatty():
                raise Refused("not_asked", "没有终端可以询问；确定要删请加 --yes", "nobody can be asked here; say --yes where you mean it")
            if typer.prompt(f"请再输入编号以确认 type the number again ({found.number})", err=True).strip().upper() != found.number:
                raise Refused("not_erased", "编号不符，没有删除", "that is another number; nothing was erased")
        if not dry_run:
            found = app.erasing.erase(number, reason=Reason(reason), by=by or getpass.getuser())
    if as_json:
        sys.stdout.write(json.dumps(found.as_json() | {"dry_run": dry_run}, ensure_ascii=False) + "\n")
        return
    if dry_run:
        _tell_of(found.as_json())
        return
    out.print(f"已删除 erased: {', '.join(found.numbers)}", markup=False)
    for place in found.outside:
        out.print(f"请另行删除 not in the store, remove it yourself: {place}", markup=False)
    if found.others:
        out.print(f"同一顾客的其他投诉未删 the same customer's others stay: {', '.join(found.others)}", markup=False)


def _tell_of(found: dict[str, object]) -> None:
    """What an erasure would do, for people."""
    for zh, en, key in (
        ("将删除", "would be erased", "numbers"),
        ("涉及的行", "rows", "rows"),
        ("将通知", "would be told", "told"),
        ("同一电话或邮箱的其他投诉（不删）", "others under the same phone or address, which stay", "others"),
        ("库外可能有副本", "copies may lie outside the store", "outside"),
    ):
        value = found[key]
        said = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else ", ".join(map(str, value))  # type: ignore[call-overload]
        err.print(f"{zh} {en}: {said or '—'}", markup=False)
    if found["before"]:
        err.print("此前已删除过。 It has been erased before.", markup=False)
