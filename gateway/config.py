"""Every setting, with its default and a line of help, and the only home of `os.environ`.

Settings come from, strongest first: environment variables (`JIESU_SMTP_PORT`), the settings file (`[smtp]` `port`), the defaults below.
`JIESU_HOME` (default `var`) is the folder that holds store, drop folder, secrets and settings file; `JIESU_CONFIG` names another file.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from models.errors import BadSetting


class _Wrong(ValueError):
    """A value that is of the right type and wrong all the same; says so in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")
        self.zh, self.en = zh, en


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _Wrong("不是时区名，例如 Asia/Shanghai", "not a time zone; write e.g. Asia/Shanghai") from None
    return value


def _web_address(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise _Wrong("应以 http:// 或 https:// 开头", "must begin with http:// or https://")
    try:
        whole = not value or bool(urlsplit(value).hostname and urlsplit(value).port != 0)
    except ValueError:
        whole = False
    if not whole:
        raise _Wrong(
            "主机名或端口不对，例如 https://a.example:8443/", "lacks a host or has a wrong port; write e.g. https://a.example:8443/"
        )
    return value


def _networks(values: list[str]) -> list[str]:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise _Wrong(
                f"“{value}” 不是 IP 地址或网段，例如 10.0.0.5 或 10.0.0.0/8",
                f"'{value}' is no IP address or network; write e.g. 10.0.0.5 or 10.0.0.0/8",
            ) from None
    return values


def _secret(value: str) -> str:
    if value and not value.startswith("whsec_"):
        raise _Wrong("应以 whsec_ 开头；留空则自动生成", "must begin with whsec_; leave it empty to have one made")
    return value


Port = Annotated[int, Field(ge=0, le=65535)]
Zone = Annotated[str, AfterValidator(_zone)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Networks = Annotated[list[str], AfterValidator(_networks)]
Secret = Annotated[str, AfterValidator(_secret)]
Seconds = Annotated[float, Field(gt=0, le=31_622_400, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


def _key(default: Any, zh: str, en: str) -> Any:
    """One setting: its default and its line of help in both languages."""
    factory = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    return Field(**factory, description=zh, json_schema_extra={"en": en})


class Section(BaseModel):
    """A part of the settings; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class General(Section):
    """What concerns the whole gateway."""

    timezone: Zone = _key("Asia/Shanghai", "编号与时限所用的时区", "time zone of complaint numbers and due times")
    node: Annotated[str, Field(max_length=80)] = _key(
        "", "本节点名称，多节点时各不相同；留空则用主机名加进程号", "name of this node, unlike the others'; empty: host and process"
    )


class StoreSection(Section):
    """The database."""

    url: str = _key(
        "",
        "数据库地址；留空为数据目录下的 SQLite；多节点用 postgresql://…",
        "database URL; empty: SQLite in the home; postgresql://… for several nodes",
    )


class Smtp(Section):
    """The door for mail."""

    enabled: bool = _key(True, "是否开放邮件入口", "whether mail is taken in")
    host: str = _key("127.0.0.1", "监听地址", "address to listen on")
    port: Port = _key(2525, "监听端口；0 为任选空闲端口", "port to listen on; 0 takes a free one")
    max_bytes: Count = _key(26_214_400, "单封邮件上限（字节）", "largest mail, in bytes")
    max_recipients: Count = _key(100, "每封邮件收件人上限", "most recipients of one mail")
    max_connections: Count = _key(50, "同时连接数上限", "most connections at once")
    max_connections_per_address: Count = _key(10, "同一地址同时连接数上限", "most connections of one address at once")
    idle_seconds: Seconds = _key(
        300, "连接空闲多久后关闭（秒，RFC 5321 4.5.3.2）", "seconds until an idle connection is closed (RFC 5321 4.5.3.2)"
    )
    data_seconds: Seconds = _key(600, "一封邮件最长传输时间（秒）", "longest time that one mail may take to arrive, in seconds")
    tls_certificate: str = _key("", "STARTTLS 证书文件（PEM）；相对于数据目录", "certificate for STARTTLS (PEM file), relative to the home")
    tls_key: str = _key("", "STARTTLS 私钥文件（PEM）；相对于数据目录", "private key for STARTTLS (PEM file), relative to the home")
    trusted_relays: Networks = _key(
        [],
        "前置邮件服务器的地址或网段；列出后只接受它们的连接",
        "addresses or networks of your mail relays; when named, only they may connect",
    )


class Web(Section):
    """The door for browsers and programs."""

    host: str = _key("127.0.0.1", "监听地址", "address to listen on")
    port: Port = _key(8000, "监听端口；0 为任选空闲端口", "port to listen on; 0 takes a free one")
    public_url: WebAddress = _key(
        "",
        "外部访问地址，用于工单中的链接；留空为 http://监听地址:端口",
        "address as seen from outside, for links in tickets; empty: http://host:port",
    )
    allowed_hosts: list[str] = _key(["127.0.0.1", "localhost"], "接受的 Host 名", "host names that are answered")
    tls_certificate: str = _key("", "HTTPS 证书文件（PEM）；相对于数据目录", "certificate for HTTPS (PEM file), relative to the home")
    tls_key: str = _key("", "HTTPS 私钥文件（PEM）；相对于数据目录", "private key for HTTPS (PEM file), relative to the home")
    trusted_proxies: Networks = _key(
        [], "反向代理的地址或网段；未列出时忽略代理请求头", "addresses or networks of your reverse proxy; its headers are ignored otherwise"
    )
    max_body_bytes: Count = _key(1_048_576, "请求体上限（字节）", "largest request body, in bytes")


class Chat(Section):
    """The web chat."""

    enabled: bool = _key(True, "是否开放在线对话", "whether the web chat is open")
    allowed_origins: list[str] = _key(
        [],
        "可以嵌入对话的网站，如 https://www.example.com；本站总是允许",
        "sites that may open the chat, e.g. https://www.example.com; our own always may",
    )
    max_line_chars: Count = _key(4000, "单条消息字数上限", "longest line, in characters")
    max_lines_per_minute: Count = _key(30, "每位访客每分钟消息上限", "most lines of one visitor in a minute")
    max_connections: Count = _key(1000, "同时对话数上限", "most chats open at once")
    max_connections_per_address: Count = _key(20, "同一地址同时对话数上限", "most chats of one address at once")
    quiet_seconds: Seconds = _key(4, "顾客停顿多久后开始分类（秒）", "seconds of silence after which the chat is sorted")
    longest_wait_seconds: Seconds = _key(
        60, "顾客一直输入时最迟多久分类（秒）", "seconds after which it is sorted though the customer still writes"
    )
    idle_seconds: Seconds = _key(
        1800, "对话空闲多久后断开（秒；可随时续上）", "seconds until a silent chat is disconnected (it can be resumed)"
    )


class Drop(Section):
    """The folder that the call centre drops transcripts into."""

    enabled: bool = _key(True, "是否收取电话转写文件", "whether transcripts are taken in")
    folder: str = _key(
        "",
        "投放目录，相对于数据目录；留空为其中的 drop，仅本账号可写；由别的账号投放时，请另建目录、自定权限并写在这里",
        "the drop folder, relative to the home; empty: drop in it, for our account alone; for another's, name one with rights of its own",
    )
    settle_seconds: Seconds = _key(1, "文件多久不再变化才收取（秒）", "seconds a file must have been left alone before it is taken")
    rescan_seconds: Seconds = _key(30, "全目录复查间隔（秒）", "seconds between looks at the whole folder")
    max_bytes: Count = _key(26_214_400, "单个文件上限（字节）", "largest file, in bytes")


class Tracker(Section):
    """The endpoint that tickets are handed to."""

    url: WebAddress = _key("http://127.0.0.1:8100/events", "接收事件的地址；留空则不投递", "where events are sent; empty: nowhere")
    secret: Secret = _key(
        "",
        "签名密钥 whsec_…；留空则自动生成于 secrets/tracker.secret",
        "signing secret whsec_…; empty: made and kept in secrets/tracker.secret",
    )
    allow_private_hosts: list[str] = _key(
        ["127.0.0.1", "localhost"], "允许投递到的内网主机名（防 SSRF）", "hosts in private networks that may be sent to (SSRF guard)"
    )
    timeout_seconds: Seconds = _key(20, "单次投递超时（秒）", "seconds until one try is given up")
    concurrency: Count = _key(16, "同时投递数", "most tries at once")


class Plan(Section):
    """The plan: departments, steps, due times."""

    file: str = _key(
        "", "预案文件；留空先找数据目录下的 plan.toml，再用随附的", "the plan file; empty: plan.toml in the home, else the shipped one"
    )


class Log(Section):
    """The operator log."""

    format: Literal["json", "console"] = _key(
        "json", "json（一行一条）或 console（便于阅读）", "json (one entry a line) or console (for reading)"
    )
    level: Literal["debug", "info", "warning", "error"] = _key("info", "最低级别", "lowest level that is written")


class Settings(BaseModel):
    """All settings of one gateway. `home` is absolute."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path
    general: General = General()
    store: StoreSection = StoreSection()
    smtp: Smtp = Smtp()
    web: Web = Web()
    chat: Chat = Chat()
    drop: Drop = Drop()
    tracker: Tracker = Tracker()
    plan: Plan = Plan()
    log: Log = Log()

    @property
    def store_url(self) -> str:
        """The database URL with the default filled in."""
        return self.store.url or f"sqlite:///{self.home / 'jiesu.db'}"

    @property
    def drop_folder(self) -> Path:
        """The drop folder with the default filled in."""
        return self.home / (self.drop.folder or "drop")

    @property
    def secrets_folder(self) -> Path:
        """Where secrets live, each in a file of mode 0600."""
        return self.home / "secrets"


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The home that the environment names, absolute."""
    return Path((os.environ if environ is None else environ).get("JIESU_HOME") or "var").absolute()


def load(environ: Mapping[str, str] | None = None, *, file: Path | None = None) -> Settings:
    """The settings of the home that the environment names. Raises `BadSetting`, which names key, value and remedy."""
    env = os.environ if environ is None else environ
    folder = home(env)
    chosen = file or (Path(env["JIESU_CONFIG"]) if env.get("JIESU_CONFIG") else None)
    values = _from_file(chosen or folder / "jiesu.toml", must_exist=chosen is not None)
    for section, keys in _from_environment(env).items():
        values[section] = values.get(section, {}) | keys if isinstance(values.get(section, {}), dict) else keys
    if "home" in values:
        raise BadSetting(
            "home", "只能由环境变量 JIESU_HOME 指定，请从设置文件中删去", "is set by JIESU_HOME only; take it out of the settings file"
        )
    try:
        settings = _placed(Settings(home=folder, **values))
    except ValidationError as error:
        raise _translated(error) from None
    _check_together(settings)
    return settings


def _placed(settings: Settings) -> Settings:
    """The settings with certificates and keys found from the home, wherever the program was started."""
    placed = {}
    for name, section in (("smtp", settings.smtp), ("web", settings.web)):
        files = {key: str(settings.home / path) for key in ("tls_certificate", "tls_key") if (path := getattr(section, key))}
        placed[name] = section.model_copy(update=files)
    return settings.model_copy(update=placed)


def _from_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise BadSetting("JIESU_CONFIG", f"找不到设置文件 {path}", f"there is no settings file {path}") from None
        return {}
    except UnicodeDecodeError:
        raise BadSetting(str(path), "不是 UTF-8 文本，请另存为 UTF-8", "is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(str(path), f"不是有效的 TOML（{error}）", f"is not valid TOML ({error})") from None
    except OSError as error:
        raise BadSetting(str(path), f"读不了设置文件（{error.strerror}）", f"cannot be read ({error.strerror})") from None


# What Kubernetes sets for every container beside a service that is called jiesu.
_OF_AN_ORCHESTRATOR = re.compile(r"JIESU_(PORT$|PORT_\d+_|SERVICE_)")
# Variables that are not a key of a section.
_NO_SECTION = frozenset({"JIESU_HOME", "JIESU_CONFIG"})


def _from_environment(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    known_sections = sections()
    values: dict[str, dict[str, Any]] = {}
    for name in sorted(env):
        if not name.startswith("JIESU_") or name in _NO_SECTION or _OF_AN_ORCHESTRATOR.match(name):
            continue
        section, _, key = name.removeprefix("JIESU_").lower().partition("_")
        known = known_sections.get(section)
        if known is None or key not in known.model_fields:
            raise BadSetting(
                name,
                "没有这个设置；全部设置见 docs/configuration.md",
                "there is no such setting; docs/configuration.md lists them all",
                code="unknown_setting",
            )
        values.setdefault(section, {})[key] = _typed(name, env[name], known.model_fields[key])
    return values


def _typed(name: str, value: str, field: FieldInfo) -> Any:
    """A list is written as JSON or with commas; everything else pydantic reads from the string itself."""
    if "list" not in str(field.annotation):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise BadSetting(name, f"“{value}” 不是 JSON 列表", f"'{value}' is not a JSON list") from None
    return [part.strip() for part in value.split(",") if part.strip()]


def sections() -> dict[str, type[Section]]:
    """The sections of the settings file, by name."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


# What pydantic finds wrong, in our words: (Chinese, English). {…} are filled from the error's context.
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "extra_forbidden": ("没有这个设置；全部设置见 docs/configuration.md", "there is no such setting; docs/configuration.md lists them all"),
    "int_parsing": ("应为整数", "must be a whole number"),
    "int_type": ("应为整数", "must be a whole number"),
    "int_from_float": ("应为整数", "must be a whole number"),
    "float_parsing": ("应为数字", "must be a number"),
    "float_type": ("应为数字", "must be a number"),
    "bool_parsing": ("应为 true 或 false", "must be true or false"),
    "bool_type": ("应为 true 或 false", "must be true or false"),
    "string_type": ("应为文字，请加引号", "must be text; put it in quotes"),
    "list_type": ('应为列表，例如 ["甲", "乙"]', 'must be a list, e.g. ["a", "b"]'),
    "model_type": ("应为一节，写作 [节名]", "must be a section, written [name]"),
    "greater_than": ("应大于 {gt}", "must be greater than {gt}"),
    "greater_than_equal": ("不得小于 {ge}", "must be at least {ge}"),
    "less_than_equal": ("不得大于 {le}", "must be at most {le}"),
    "finite_number": ("应为有限的数字", "must be a finite number"),
    "string_too_long": ("最多 {max_length} 字", "may have {max_length} characters at most"),
    "literal_error": ("应为 {expected} 之一", "must be one of {expected}"),
}


def _translated(error: ValidationError) -> BadSetting:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    context = first.get("ctx", {})
    wrong = context.get("error")
    if isinstance(wrong, _Wrong):
        zh, en = wrong.zh, wrong.en
    else:
        zh, en = (s.format(**context) for s in _SENTENCES.get(first["type"], (f"不对（{first['msg']}）", f"is wrong ({first['msg']})")))
    code = "unknown_setting" if first["type"] == "extra_forbidden" else "bad_setting"
    if code == "bad_setting" and "secret" not in key:
        zh, en = f"“{first['input']}” 不行，{zh}", f"'{first['input']}' will not do: {en}"
    return BadSetting(key, zh, en, code=code)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_together(settings: Settings) -> None:
    """What no key can see alone: a door that is open to the world must be guarded (threats: defaults that ship)."""
    for name, section in (("web", settings.web), ("smtp", settings.smtp)):
        if bool(section.tls_certificate) != bool(section.tls_key):
            lacking = "tls_key" if section.tls_certificate else "tls_certificate"
            raise BadSetting(f"{name}.{lacking}", "证书和私钥必须同时给出", "certificate and key must be given together")
        for key in ("tls_certificate", "tls_key"):
            path = getattr(section, key)
            if path and not Path(path).is_file():
                raise BadSetting(f"{name}.{key}", f"找不到文件 {path}", f"there is no file {path}")
    web, smtp = settings.web, settings.smtp
    if not _is_loopback(web.host) and not web.tls_certificate and not web.trusted_proxies:
        raise BadSetting(
            "web.host",
            f"“{web.host}” 对外开放而没有加密；请设置 web.tls_certificate 与 web.tls_key，或在 web.trusted_proxies 中写明反向代理",
            f"'{web.host}' is open to others without encryption; set web.tls_certificate and web.tls_key, or name your reverse proxy in web.trusted_proxies",  # noqa: E501
        )
    if smtp.enabled and not _is_loopback(smtp.host) and not smtp.tls_certificate and not smtp.trusted_relays:
        raise BadSetting(
            "smtp.host",
            f"“{smtp.host}” 对外开放而没有加密；请设置 smtp.tls_certificate 与 smtp.tls_key，或在 smtp.trusted_relays 中写明前置邮件服务器",
            f"'{smtp.host}' is open to others without encryption; set smtp.tls_certificate and smtp.tls_key, or name your relays in smtp.trusted_relays",  # noqa: E501
        )
