"""The settings of a gateway, read and checked, and the only home of `os.environ`. `gateway.sections` says which there are.

Settings come from, strongest first: environment variables (`JIESU_SMTP_PORT`), the settings file (`[smtp]` `port`), the defaults.
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
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from gateway.sections import (
    Attachments,
    Classifier,
    Drop,
    General,
    Learning,
    Log,
    Plan,
    Report,
    Section,
    Smtp,
    StoreSection,
    Tracker,
    Web,
    Wrong,
)
from gateway.sections_chat import Chat
from gateway.sections_handoff import EndpointSection
from gateway.sections_mail import Mail
from gateway.sections_mailbox import Mailbox, problem
from gateway.sections_phone import Bucket, Phone
from gateway.sections_robots import Notices, RobotSection
from gateway.trackers import settings as trackers
from models.endpoint import without_secrets
from models.errors import BadSetting


class Settings(BaseModel):
    """All settings of one gateway. `home` is absolute."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path
    general: General = General()
    store: StoreSection = StoreSection()
    smtp: Smtp = Smtp()
    mail: Mail = Mail()
    web: Web = Web()
    chat: Chat = Chat()
    drop: Drop = Drop()
    attachments: Attachments = Attachments()
    phone: Phone = Phone()
    bucket: Bucket = Bucket()
    tracker: Tracker = Tracker()
    endpoint: list[EndpointSection] = []
    classifier: Classifier = Classifier()
    learning: Learning = Learning()
    plan: Plan = Plan()
    report: Report = Report()
    log: Log = Log()
    mailbox: list[Mailbox] = []
    notices: Notices = Notices()
    robot: list[RobotSection] = []

    @property
    def store_url(self) -> str:
        """The database URL with the default filled in."""
        return self.store.url or f"sqlite:///{self.home / 'jiesu.db'}"

    @property
    def drop_folder(self) -> Path:
        """The drop folder with the default filled in."""
        return self.home / (self.drop.folder or "drop")

    @property
    def relays_file(self) -> Path:
        """The file of relays' passwords with the default filled in."""
        return self.home / (self.smtp.users or "secrets/smtp.users")

    @property
    def secrets_folder(self) -> Path:
        """Where secrets live, each in a file of mode 0600."""
        return self.home / "secrets"


def mailbox_secret(settings: Settings, box: Mailbox, key: str, environ: Mapping[str, str] | None = None) -> str:
    """The `password` or `client_secret` of a mailbox, read anew at each use, so that a changed one counts without a new start.

    It stands in the settings, in the environment variable that KEY_env names, or in the file that KEY_file names. Raises `BadSetting`.
    """
    env = os.environ if environ is None else environ
    where = f"mailbox.{box.name}.{key}"
    if given := getattr(box, key):
        return str(given)
    if variable := getattr(box, f"{key}_env"):
        if not env.get(variable):
            raise BadSetting(
                f"{where}_env", f"环境变量 {variable} 没有设置或为空", f"the environment variable {variable} is not set, or empty"
            )
        return env[variable]
    named = getattr(box, f"{key}_file")
    if not named and key == "client_secret":
        return ""
    return secret_file(settings.home / (named or f"secrets/mailbox-{box.name}.{key}"), f"{where}_file")


def secret_file(path: Path, key: str) -> str:
    """A secret that a person has put into a file of mode 0600. Raises `BadSetting`, which names `key`."""
    try:
        value = path.read_text("utf-8").strip()
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise BadSetting(
            key, f"找不到文件 {path}；请把内容写入该文件并 chmod 600", f"there is no file {path}; write it there and chmod 600"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise BadSetting(key, f"读不了文件 {path}", f"the file {path} cannot be read") from None
    if not value:
        raise BadSetting(key, f"文件 {path} 是空的", f"the file {path} is empty")
    if mode & 0o077:
        raise BadSetting(key, f"他人可以读取 {path}，请运行 chmod 600 {path}", f"others can read {path}; run chmod 600 {path}")
    return value


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a program of ours that is to have the same home and store; all else is inherited."""
    return dict(os.environ) | {"JIESU_HOME": str(settings.home), "JIESU_STORE_URL": settings.store_url}


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The home that the environment names, absolute."""
    return Path((os.environ if environ is None else environ).get("JIESU_HOME") or "var").absolute()


def load(environ: Mapping[str, str] | None = None, *, file: Path | None = None, check_files: bool = True) -> Settings:
    """The settings of the home that the environment names. Raises `BadSetting`, which names key, value and remedy.

    check_files: False for the command that makes one of the files that the settings name.
    """
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
        raise _translated(error, values) from None
    _check_together(settings)
    if check_files and settings.smtp.users and not settings.relays_file.is_file():
        path = settings.relays_file
        raise BadSetting(
            "smtp.users",
            f"找不到文件 {path}；请用 jiesu relay add 生成",
            f"there is no file {path}; have it written by jiesu relay add",
        )
    return settings


def _placed(settings: Settings) -> Settings:
    """The settings with certificates and keys found from the home, wherever the program was started."""
    placed: dict[str, Section] = {}
    for name, section in (("smtp", settings.smtp), ("web", settings.web)):
        files = {key: str(settings.home / path) for key in ("tls_certificate", "tls_key") if (path := getattr(section, key))}
        placed[name] = section.model_copy(update=files)
    if settings.mail.tls_ca:
        placed["mail"] = settings.mail.model_copy(update={"tls_ca": str(settings.home / settings.mail.tls_ca)})
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
        if section == "mailbox":
            raise BadSetting(
                name,
                "邮箱只能写在设置文件的 [[mailbox]] 中；密码可用 password_file 或 password_env（变量名不要以 JIESU_ 开头）",
                "mailboxes are set in the file, [[mailbox]]; a password may come by password_file or password_env (not named JIESU_…)",
                code="unknown_setting",
            )
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


def tables() -> dict[str, type[Section]]:
    """The lists of tables of the settings file, written `[[name]]`, by name."""
    return {"endpoint": EndpointSection, "robot": RobotSection, "mailbox": Mailbox}


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
    "missing": ("必须给出", "must be given"),
    "enum": ("应为 {expected} 之一", "must be one of {expected}"),
    "literal_error": ("应为 {expected} 之一", "must be one of {expected}"),
    "string_too_short": ("不能为空", "may not be empty"),
}


def _translated(error: ValidationError, values: Mapping[str, Any]) -> BadSetting:
    first = error.errors()[0]
    loc = first["loc"]
    kind = str(loc[0])
    if kind in tables() and len(loc) > 1 and isinstance(loc[1], int):
        # People know a mailbox or an endpoint by its name; one without has its place.
        table = values[kind][loc[1]]
        name = table.get("name") if isinstance(table, dict) else None
        loc = (kind, name if isinstance(name, str) and name else f"#{loc[1] + 1}", *loc[2:])
    key = ".".join(str(part) for part in loc)
    if kind in tables() and len(loc) < 3:
        # The value may hold a password, and is not shown.
        return BadSetting(
            key, f"每个 {kind} 应为一节，写作 [[{kind}]]（两层方括号）", f"each {kind} is a table of its own, written [[{kind}]]"
        )
    context = first.get("ctx", {})
    wrong = context.get("error")
    if isinstance(wrong, Wrong):
        zh, en = wrong.zh, wrong.en
    else:
        zh, en = (s.format(**context) for s in _SENTENCES.get(first["type"], (f"不对（{first['msg']}）", f"is wrong ({first['msg']})")))
    code = "unknown_setting" if first["type"] == "extra_forbidden" else "bad_setting"
    if code == "bad_setting" and first["type"] != "missing" and not hidden(key):
        given = without_secrets(str(first["input"]))
        zh, en = f"“{given}” 不行，{zh}", f"'{given}' will not do: {en}"
    return BadSetting(key, zh, en, code=code)


def hidden(key: str) -> bool:
    """Whether the value of a setting is never shown."""
    return any(word in key for word in ("secret", "password", "api_key")) or (key.startswith("robot.") and key.endswith(".url"))


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
    names: set[str] = set()
    for box in settings.mailbox:
        if box.name in names:
            raise BadSetting(f"mailbox.{box.name}.name", "这个名称用了两次，请改一个", "this name stands twice; change one")
        names.add(box.name)
        if found := problem(box, _is_loopback(box.host)):
            raise BadSetting(f"mailbox.{box.name}.{found[0]}", *found[1:])
        if box.ca_file and not (settings.home / box.ca_file).is_file():
            raise BadSetting(f"mailbox.{box.name}.ca_file", f"找不到文件 {box.ca_file}", f"there is no file {box.ca_file}")
    bucket = settings.bucket
    if bucket.enabled and not bucket.name:
        raise BadSetting("bucket.name", "请写明存储桶名称（bucket.enabled 为 true）", "name the bucket (bucket.enabled is true)")
    if "/" in bucket.keys_file or bucket.keys_file.startswith("."):
        raise BadSetting(
            "bucket.keys_file",
            f"“{bucket.keys_file}” 不行，应为 secrets/ 中的文件名",
            f"'{bucket.keys_file}' will not do: name a file in secrets/",
        )
    endpoints = [endpoint.name for endpoint in settings.endpoint]
    for name in endpoints:
        if endpoints.count(name) > 1:
            raise BadSetting("endpoint.name", f"“{name}” 用了两次，请各取一个名称", f"'{name}' stands twice; give each its own name")
    for endpoint in settings.endpoint:
        if found := trackers.problem(endpoint):
            raise BadSetting(f"endpoint.{endpoint.name}.{found[0]}", *found[1:])
    web, smtp = settings.web, settings.smtp
    if not _is_loopback(web.host) and not web.tls_certificate and not web.trusted_proxies:
        raise BadSetting(
            "web.host",
            f"“{web.host}” 对外开放而没有加密；请设置 web.tls_certificate 与 web.tls_key，或在 web.trusted_proxies 中写明反向代理",
            f"'{web.host}' is open to others without encryption; set web.tls_certificate and web.tls_key, or name your reverse proxy in web.trusted_proxies",  # noqa: E501
        )
    if smtp.users and not smtp.tls_certificate:
        raise BadSetting(
            "smtp.users",
            "密码只在加密后传送；请设置 smtp.tls_certificate 与 smtp.tls_key",
            "passwords travel encrypted only; set smtp.tls_certificate and smtp.tls_key",
        )
    if smtp.authserv_id and not (smtp.trusted_relays or smtp.users):
        raise BadSetting(
            "smtp.authserv_id",
            "任何人都能写这个邮件头；请在 smtp.trusted_relays 或 smtp.users 中写明中继",
            "anybody can write that header; name your relays in smtp.trusted_relays or smtp.users",
        )
    if smtp.auth_required and not smtp.users:
        raise BadSetting("smtp.auth_required", "还没有账号文件；请设置 smtp.users", "nobody has a password; set smtp.users")
    if smtp.enabled and not _is_loopback(smtp.host) and not smtp.tls_certificate and not smtp.trusted_relays:
        raise BadSetting(
            "smtp.host",
            f"“{smtp.host}” 对外开放而没有加密；请设置 smtp.tls_certificate 与 smtp.tls_key，或在 smtp.trusted_relays 中写明前置邮件服务器",
            f"'{smtp.host}' is open to others without encryption; set smtp.tls_certificate and smtp.tls_key, or name your relays in smtp.trusted_relays",  # noqa: E501
        )
    _check_mail(settings.mail)


def _check_mail(mail: Mail) -> None:
    if mail.tls_ca and not Path(mail.tls_ca).is_file():
        raise BadSetting("mail.tls_ca", f"找不到文件 {mail.tls_ca}", f"there is no file {mail.tls_ca}")
    if mail.reply_secret and len(mail.reply_secret) < 32:
        raise BadSetting(
            "mail.reply_secret", "太短，至少 32 个字符；留空则自动生成", "too short; 32 characters at least, or empty to have one made"
        )
    if not mail.enabled:
        return
    for key in ("host", "from_address"):
        if not getattr(mail, key):
            raise BadSetting(f"mail.{key}", "启用外发邮件时必须填写", "must be set where mail.enabled is true")
    if mail.tls == "none" and not _is_loopback(mail.host):
        raise BadSetting(
            "mail.tls",
            f"“none” 不行：{mail.host} 不是本机，信件和口令会明文传输；请用 starttls 或 implicit",
            f"'none' will not do: {mail.host} is another machine, and letters and password would go in clear; use starttls or implicit",
        )
    if mail.plus_addresses and len(mail.from_address.partition("@")[0]) > 30:
        raise BadSetting(
            "mail.plus_addresses",
            "from_address 在 @ 之前最多 30 个字符，否则带标记的地址超长（RFC 5321 4.5.3.1.1）；请换短一些的地址，或设为 false",
            "from_address may have 30 characters before the @, for the token's sake (RFC 5321 4.5.3.1.1); shorten it, or set false",
        )
