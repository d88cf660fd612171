"""The settings of one mailbox, `[[mailbox]]`: as many tables of this kind as there are mailboxes."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.sections import Count, Seconds, Section, WebAddress, Wrong, _key

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise Wrong(
            "应为 1–40 个小写字母、数字、点、横线，例如 tousu-qq",
            "must be 1 to 40 small letters, digits, dots and dashes, e.g. tousu-qq",
        )
    return value


def _backfill(value: str) -> str:
    if value not in ("new", "all") and not (value.isascii() and value.isdigit() and int(value[:9]) <= 36_500):
        raise Wrong('应为 "new"、"all" 或天数（例如 30）', 'must be "new", "all" or a number of days, e.g. 30')
    return value


def _spelt(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, AfterValidator(_name)]
Backfill = Annotated[str, BeforeValidator(_spelt), AfterValidator(_backfill)]


class Mailbox(Section):
    """A mailbox that is looked into by IMAP."""

    name: Name = Field(description="名称，用于日志、指标和页面，各邮箱不同", json_schema_extra={"en": "its name in log, metrics and pages"})
    enabled: bool = _key(True, "是否收取", "whether it is looked into")
    host: Annotated[str, Field(min_length=1)] = Field(
        description="IMAP 服务器，例如 imap.qq.com", json_schema_extra={"en": "the IMAP server, e.g. imap.qq.com"}
    )
    port: Annotated[int, Field(ge=1, le=65_535)] = _key(993, "端口", "port")
    tls: Literal["tls", "starttls", "none"] = _key(
        "tls", "加密方式：tls、starttls；none 只允许本机", "encryption: tls or starttls; none for this machine only"
    )
    ca_file: str = _key(
        "", "自建证书颁发机构的证书（PEM），相对于数据目录", "certificate of your own authority (PEM file), relative to the home"
    )
    user: Annotated[str, Field(min_length=1)] = Field(
        description="登录名，通常是邮箱地址", json_schema_extra={"en": "the login, mostly the address"}
    )
    auth: Literal["password", "oauth2"] = _key(
        "password", "登录方式：password（密码或授权码）或 oauth2", "how to log in: password (or app password), or oauth2"
    )
    password: str = _key("", "密码或授权码；建议改用 password_file", "password or app password; password_file is better")
    password_file: str = _key(
        "",
        "存放密码的文件，相对于数据目录，权限 600；留空为 secrets/mailbox-名称.password",
        "file that holds the password, relative to the home, mode 600; empty: secrets/mailbox-NAME.password",
    )
    password_env: str = _key("", "存放密码的环境变量名", "name of an environment variable that holds the password")
    folder: Annotated[str, Field(min_length=1)] = _key("INBOX", "文件夹", "folder")
    backfill: Backfill = _key(
        "new",
        "首次启动时收取什么：new（只收以后来的）、all（全部）或天数（最近若干天的）",
        "what is taken in at the first start: new (only what comes from then on), all, or a number of days",
    )
    max_bytes: Count = _key(26_214_400, "单封邮件上限（字节），超过的搁置", "largest mail, in bytes; larger ones are put aside")
    idle: bool = _key(True, "服务器支持时用 IDLE 等待新邮件", "whether to wait by IDLE where the server has it")
    poll_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = _key(
        60, "不用 IDLE 时多久看一次（秒）", "seconds between looks where IDLE is not used"
    )
    timeout_seconds: Seconds = _key(60, "服务器多久不回应算失败（秒）", "seconds without an answer after which a try is given up")
    after: Literal["nothing", "flag", "move"] = _key(
        "nothing",
        "受理后在邮箱中做什么：nothing（原样不动）、flag（加标记）、move（移走）",
        "what is done with a mail once it is safe: nothing, flag, move",
    )
    after_flag: str = _key("jiesu", "after 为 flag 时加的标记", "the flag that is set where `after` is flag")
    after_folder: str = _key("jiesu", "after 为 move 时移到的文件夹", "where mails are moved to where `after` is move")
    token_url: WebAddress = _key("", "OAuth2 令牌地址", "OAuth2 token endpoint")
    client_id: str = _key("", "OAuth2 客户端编号", "OAuth2 client id")
    client_secret: str = _key("", "OAuth2 客户端密钥；公共客户端留空", "OAuth2 client secret; empty for a public client")
    client_secret_file: str = _key("", "存放客户端密钥的文件，相对于数据目录", "file that holds the client secret, relative to the home")
    client_secret_env: str = _key("", "存放客户端密钥的环境变量名", "name of an environment variable that holds the client secret")
    scope: str = _key("", "OAuth2 范围", "OAuth2 scope")
    refresh_token_file: str = _key(
        "",
        "存放首个刷新令牌的文件，相对于数据目录；留空为 secrets/mailbox-名称.refresh-token；换新内容即重新授权",
        "file with the first refresh token, relative to the home; empty: secrets/mailbox-NAME.refresh-token; new content: authorised anew",
    )
    refresh_token_days: Annotated[int, Field(ge=0, le=3660)] = _key(
        0, "刷新令牌多少天后失效，提前 7 天告警；0 为未知", "days after which a refresh token ends, warned of a week before; 0: unknown"
    )


def problem(box: Mailbox, loopback: bool) -> tuple[str, str, str] | None:
    """What no key of a mailbox can see alone: the key, and what is wrong in both languages."""
    if box.tls == "none" and not loopback:
        return (
            "tls",
            "不加密只允许连接本机；请用 tls 或 starttls",
            "without encryption only this machine may be reached; use tls or starttls",
        )
    given = [key for key in ("password", "password_file", "password_env") if getattr(box, key)]
    if len(given) > 1:
        return (given[1], f"与 {given[0]} 只能给出一个", f"and {given[0]} exclude each other")
    if box.auth == "oauth2":
        for key in ("token_url", "client_id"):
            if not getattr(box, key):
                return (key, "auth = oauth2 时必须给出", "must be given for auth = oauth2")
        if box.token_url.startswith("http://") and not _is_local(box.token_url):
            return ("token_url", "令牌地址必须是 https", "must be https")
    if box.after != "nothing" and not getattr(box, f"after_{'folder' if box.after == 'move' else 'flag'}"):
        key = f"after_{'folder' if box.after == 'move' else 'flag'}"
        return (key, f"after = {box.after} 时必须给出", f"must be given for after = {box.after}")
    if box.after == "move" and box.after_folder == box.folder:
        return ("after_folder", "不能就是 folder 本身", "cannot be the folder itself")
    return None


def _is_local(url: str) -> bool:
    return bool(re.match(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:/|$)", url))
