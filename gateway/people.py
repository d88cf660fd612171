"""The commands `people`, `token` and `relay`: who may sign in, which program may ask for what, which mail relay may log in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from gateway import config
from gateway.terminal import err, out
from models.errors import BadSetting, Refused
from models.staff import Role, Scope

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.staffing import Staffing

people_cli = typer.Typer(help="可以登录控制台的人员。 People who may sign in to the console.", no_args_is_help=True)
token_cli = typer.Typer(help="程序调用接口用的令牌。 Tokens for programs that use the API.", no_args_is_help=True)

relay_cli = typer.Typer(help="邮件入口的中继账号。 Accounts of relays at the door for mail.", no_args_is_help=True)

_ROLES = {Role.AGENT: "客服专员 agent", Role.LEAD: "领导小组 lead", Role.OPERATOR: "管理员 operator"}
Name = Annotated[str, typer.Argument(help="姓名，登录时使用。 The name, used to sign in.", metavar="NAME")]
AsRole = Annotated[str, typer.Option("--role", help="agent（客服专员）、lead（领导小组）或 operator（管理员）。 One of the three.")]
AsJson = Annotated[bool, typer.Option("--json", help="给程序用的 JSON。 JSON for programs.")]


@people_cli.command("add")
def add(name: Name, role: AsRole) -> None:
    """添加人员，给出一次性链接（24 小时内有效），本人用它设置口令。 Adds a person; prints a one-time link (24 h) to set a password."""
    chosen = _role(role)
    with _staffing() as (settings, staffing):
        _tell_link(settings, staffing.add(name, chosen), name)


@people_cli.command("invite")
def invite(name: Name) -> None:
    """重发一次性链接：重设口令，或恢复已停用的人员。 A new one-time link: a new password, or a disabled person comes back."""
    with _staffing() as (settings, staffing):
        _tell_link(settings, staffing.invite(name), name)


@people_cli.command("disable")
def disable(name: Name) -> None:
    """停用人员，立即退出其所有登录。 Disables a person, who is signed out everywhere at once."""
    with _staffing() as (_, staffing):
        staffing.disable(name)
    out.print(f"已停用：{name}  disabled: {name}", markup=False)


@people_cli.command("role")
def role(name: Name, role: AsRole) -> None:
    """更改人员的角色，立即生效。 Changes a person's role, from the next click on."""
    chosen = _role(role)
    with _staffing() as (_, staffing):
        staffing.give_role(name, chosen)
    out.print(f"{name}：{_ROLES[chosen]}", markup=False)


@people_cli.command("list")
def list_people(as_json: AsJson = False) -> None:
    """列出人员。 Lists people."""
    with _staffing() as (_, staffing):
        found = staffing.people()
    if as_json:
        for one in found:
            until = one.invited_until.isoformat(timespec="seconds") if one.invited_until else None
            row = {"name": one.name, "role": one.role.value, "ready": one.ready, "invited_until": until, "disabled": one.disabled}
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    if not found:
        out.print("还没有人员：jiesu people add 姓名 --role operator。 Nobody yet: jiesu people add NAME --role operator.")
        return
    table = Table()
    for heading in ("姓名 name", "角色 role", "状态 state"):
        table.add_column(heading, overflow="fold")
    for one in found:
        state = "已停用 disabled" if one.disabled else "可登录 ready" if one.ready else "待设口令 invited"
        table.add_row(one.name.replace("[", r"\["), _ROLES[one.role], state)
    out.print(table)


@token_cli.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="程序的名字。 The program's name.", metavar="NAME")],
    scope: Annotated[list[str], typer.Option("--scope", help=f"{', '.join(Scope)}；可重复。 May be repeated.")],
) -> None:
    """新建令牌，只显示这一次。 Makes a token, which is shown this once."""
    unknown = [one for one in scope if one not in list(Scope)]
    if unknown:
        allowed = ", ".join(Scope)
        raise BadSetting("--scope", f"“{unknown[0]}” 不行，应为 {allowed} 之一", f"'{unknown[0]}' will not do: one of {allowed}")
    with _staffing() as (_, staffing):
        token = staffing.add_token(name, [Scope(one) for one in scope])
    err.print("令牌只显示这一次，请妥善保存。 The token is shown this once; keep it safe.")
    sys.stdout.write(token + "\n")


@token_cli.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """列出令牌（不含令牌本身）。 Lists tokens, without the tokens themselves."""
    with _staffing() as (_, staffing):
        found = staffing.tokens()
    if as_json:
        for one in found:
            made = one.created_at.isoformat(timespec="seconds")
            row = {"name": one.name, "scopes": list(one.scopes), "created_at": made, "disabled": one.disabled}
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    if not found:
        out.print("没有令牌。 There are no tokens.")
        return
    table = Table()
    for heading in ("名字 name", "权限 scopes", "状态 state"):
        table.add_column(heading, overflow="fold")
    for one in found:
        state = "已停用 disabled" if one.disabled else "有效 valid"
        table.add_row(one.name.replace("[", r"\["), " ".join(one.scopes), state)
    out.print(table)


@token_cli.command("renew")
def renew_token(name: Annotated[str, typer.Argument(help="程序的名字。 The program's name.", metavar="NAME")]) -> None:
    """换新令牌，只显示这一次；旧的立即失效，名字、权限和拉取位置不变。 A new token, shown this once; the old one is dead at once."""
    with _staffing() as (_, staffing):
        token = staffing.renew_token(name)
    err.print("令牌只显示这一次，请妥善保存；旧的已失效。 The token is shown this once; keep it safe. The old one is dead.")
    sys.stdout.write(token + "\n")


@token_cli.command("disable")
def disable_token(name: Annotated[str, typer.Argument(help="程序的名字。 The program's name.", metavar="NAME")]) -> None:
    """停用令牌。 Disables a token."""
    with _staffing() as (_, staffing):
        staffing.disable_token(name)
    out.print(f"已停用：{name}  disabled: {name}", markup=False)


@relay_cli.command("add")
def add_relay(name: Annotated[str, typer.Argument(help="中继的账号名。 The relay's name.", metavar="NAME")]) -> None:
    """给中继一个新密码，只显示这一次。 Gives a relay a new password, which is shown this once."""
    from gateway import home, relays

    settings = config.load(check_files=False)
    home.prepare(settings.home)
    path = settings.relays_file
    password = home.token()
    relays.add(path, name, password)
    err.print("密码只显示这一次，请妥善保存。 The password is shown this once; keep it safe.")
    if not settings.smtp.users:
        err.print(f'请设置 smtp.users = "secrets/{path.name}" 后重启。 Set it, and start again.', markup=False)
    sys.stdout.write(password + "\n")


def link_of(base: str, token: str) -> str:
    """Where a person sets a password."""
    return f"{base.rstrip('/')}/console/invitation/{token}"


def base_of(settings: Settings) -> str:
    """The console's address as people open it: the public one, else where the gateway serves now, else where it would."""
    from gateway import up

    web = settings.web
    if web.public_url:
        return web.public_url
    try:
        return str(up.doors_of(settings.home).web)
    except Refused:
        scheme = "https" if web.tls_certificate else "http"
        return f"{scheme}://{f'[{web.host}]' if ':' in web.host else web.host}:{web.port}"


def _tell_link(settings: Settings, token: str, name: str) -> None:
    err.print(f"请把这个链接交给 {name.strip()}：用它设置口令，24 小时内有效，只能用一次。", markup=False)
    err.print(f"Give this link to {name.strip()}: it sets the password, works once and for 24 hours.", markup=False)
    sys.stdout.write(link_of(base_of(settings), token) + "\n")


def tell_first_link(base: str, token: str) -> None:
    """What the first start says."""
    err.print("还没有人员。管理员 admin 的一次性链接（24 小时内有效，只显示这一次）：")
    err.print("Nobody may sign in yet. A one-time link for the operator 'admin' (24 hours, shown this once):")
    err.print(f"  {link_of(base, token)}", markup=False)


def _role(value: str) -> Role:
    if value not in list(Role):
        allowed = ", ".join(Role)
        raise BadSetting("--role", f"“{value}” 不行，应为 {allowed} 之一", f"'{value}' will not do: one of {allowed}")
    return Role(value)


@contextmanager
def _staffing() -> Iterator[tuple[Settings, Staffing]]:
    """People and tokens of this home, beside a gateway that may be running."""
    from gateway import bootstrap

    settings = config.load()
    store = bootstrap.open_store(settings)
    try:
        yield settings, bootstrap.staffing(settings, store)
    finally:
        store.close()
