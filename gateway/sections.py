"""Every setting with its default and a line of help, by section; and what makes a value wrong that has the right type."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.delivery import EventType
from models.endpoint import USUAL_TYPES


class Wrong(ValueError):
    """A value that is of the right type and wrong all the same; says so in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")
        self.zh, self.en = zh, en


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong("不是时区名，例如 Asia/Shanghai", "not a time zone; write e.g. Asia/Shanghai") from None
    return value


def _web_address(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise Wrong("应以 http:// 或 https:// 开头", "must begin with http:// or https://")
    try:
        whole = not value or bool(urlsplit(value).hostname and urlsplit(value).port != 0)
    except ValueError:
        whole = False
    if not whole:
        raise Wrong(
            "主机名或端口不对，例如 https://a.example:8443/", "lacks a host or has a wrong port; write e.g. https://a.example:8443/"
        )
    return value


def _networks(values: list[str]) -> list[str]:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise Wrong(
                f"“{value}” 不是 IP 地址或网段，例如 10.0.0.5 或 10.0.0.0/8",
                f"'{value}' is no IP address or network; write e.g. 10.0.0.5 or 10.0.0.0/8",
            ) from None
    return values


def _hosts(values: list[str]) -> list[str]:
    for value in values:
        if not _is_host(value):
            raise Wrong(
                f"“{value}” 应只写主机名或 IP 地址，不带协议、端口、路径和方括号，例如 10.0.0.5 或 tracker.corp.example",
                f"'{value}' must be a bare host name or IP address, without scheme, port, path or brackets; "
                "write e.g. 10.0.0.5 or tracker.corp.example",
            )
    return values


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        # A last part of digits alone is an address that was misspelt.
        return re.fullmatch(r"(?:[\w-]{1,63}\.)*(?!\d+\.?$)[\w-]{1,63}\.?", value) is not None
    return True


def _secret(value: str) -> str:
    if value and not value.startswith("whsec_"):
        raise Wrong("应以 whsec_ 开头；留空则自动生成", "must begin with whsec_; leave it empty to have one made")
    return value


def _mapped(values: list[str]) -> list[str]:
    for value in values:
        address, equals, stands_for = (part.strip() for part in value.partition("="))
        if not (address and equals and stands_for) or " " in address:
            raise Wrong(f"“{value}” 应写作“地址=名称”", f"'{value}' must be written 'address=name'")
    return values


def _recipients(values: list[str]) -> list[str]:
    for value in values:
        if not value.rpartition("@")[2] or value.count("@") > 1 or any(c.isspace() or c in "<>," for c in value):
            raise Wrong(
                f"“{value}” 不是地址或域名，例如 tousu@example.com 或 example.com",
                f"'{value}' is no address or domain; write e.g. tousu@example.com or example.com",
            )
    return values


def _addresses(values: list[str]) -> list[str]:
    for value in values:
        host, _, port = value.rpartition("#") if "#" in value else (value, "", "53")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            host = ""
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise Wrong(
                f"“{value}” 不是 IP 地址，例如 10.0.0.53 或 10.0.0.53#5353",
                f"'{value}' is no IP address; write e.g. 10.0.0.53 or 10.0.0.53#5353",
            )
    return values


# All types of events, whichever there are.
EVERY = "*"


def _types(values: list[str]) -> list[str]:
    if not values:
        raise Wrong(
            '不能为空，否则什么也收不到；全部写 ["*"]，删去这一项为默认的几种',
            'may not be empty, or it would hear of nothing; write ["*"] for all, or take the key out for the usual ones',
        )
    for value in values:
        if value != EVERY and value not in list(EventType):
            known = ", ".join(EventType)
            raise Wrong(f"没有事件类型 “{value}”，可以写 * 或 {known}", f"there is no event type '{value}'; write * or {known}")
    return values


Port = Annotated[int, Field(ge=0, le=65535)]
Zone = Annotated[str, AfterValidator(_zone)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Networks = Annotated[list[str], AfterValidator(_networks)]
Recipients = Annotated[list[str], AfterValidator(_recipients)]
Mapped = Annotated[list[str], AfterValidator(_mapped)]
Addresses = Annotated[list[str], AfterValidator(_addresses)]
Secret = Annotated[str, AfterValidator(_secret)]
Seconds = Annotated[float, Field(gt=0, le=31_622_400, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
Types = Annotated[list[str], AfterValidator(_types)]
# Compared with the host of an address as it is written there.
Hosts = Annotated[list[str], AfterValidator(_hosts)]


def _key(default: Any, zh: str, en: str) -> Any:
    """One setting: its default and its line of help in both languages."""
    factory = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    return Field(**factory, description=zh, json_schema_extra={"en": en})


# Under this name for the sections that have a file of their own.
setting = _key


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
        "addresses or networks of your mail relays; when named, only they may connect (or, with users, others who log in)",
    )
    recipients: Recipients = _key(
        [],
        "接受的收件地址或域名，其余回 550；留空全部接受（本网关从不转发）",
        "addresses or domains that mail is taken for, others get 550; empty: all (nothing is ever relayed)",
    )
    estates: Mapped = _key(
        [],
        '收件地址（或域名）对应的楼盘，如 ["yujing@example.com=御景湾"]',
        'the estate that a recipient (or domain) stands for, e.g. ["yujing@example.com=御景湾"]',
    )
    brands: Mapped = _key(
        [],
        '收件地址（或域名）对应的品牌，如 ["example.com=示例置业"]',
        'the brand that a recipient (or domain) stands for, e.g. ["example.com=Example Homes"]',
    )
    users: str = _key(
        "",
        "中继账号文件（jiesu relay add 写入），相对于数据目录；有了它，STARTTLS 之后提供 AUTH",
        "file of relays' passwords (written by jiesu relay add), relative to the home; with it AUTH is offered after STARTTLS",
    )
    auth_required: bool = _key(
        False,
        "是否人人必须登录；否则 trusted_relays 中的免登录，其余须登录（未列中继时登录可有可无）",
        "whether everybody must log in; else trusted_relays need not and all others must (where none are named, logging in is optional)",
    )
    senders: Literal["auto", "always", "off"] = _key(
        "auto",
        "收下后是否核对发件域（SPF、DKIM、DMARC）：auto 只核对公网来信；结果只记录，从不拒收",
        "whether sender domains are checked after acceptance (SPF, DKIM, DMARC); auto: mail from public addresses; never refuses",
    )
    authserv_id: str = _key(
        "",
        "中继在 Authentication-Results 中的名字；写明后采信中继的结果，不再自查",
        "your relay's name in Authentication-Results; when named, its results are taken instead of our own check",
    )
    dns_servers: Addresses = _key([], "查询用的 DNS 服务器；留空用系统的", "DNS servers to ask; empty: the system's")
    dns_seconds: Annotated[float, Field(gt=0, le=60)] = _key(
        10, "一封邮件查询 DNS 的总时限（秒）", "longest time for all DNS questions about one mail, in seconds"
    )
    acceptors: Annotated[int, Field(ge=1, le=64)] = _key(
        1, "收信进程数；1 为在主进程内收信", "processes that take mail in; 1: inside the gateway's own"
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
    sidecar_wait_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = _key(
        2, "文本转写等同名通话信息（.json）多久（秒）", "seconds that a text waits for its sidecar (.json)"
    )
    transcript_wait_seconds: Seconds = _key(
        600,
        "录音或通话信息等转写文件多久（秒）；过后有录音的列为待回电，其余隔离",
        "seconds that a recording or sidecar waits for its transcript; then the call is to be called back, or the file is set aside",
    )


class Attachments(Section):
    """Files that come with complaints."""

    most: Count = _key(
        50,
        "一封来信最多单独提供多少个附件；其余只在原件里",
        "so many files of one message are offered alone; the others only in the original",
    )
    largest_bytes: Count = _key(
        26_214_400,
        "单独提供的附件大小上限（字节）；更大的只在原件里",
        "largest file offered alone, in bytes; a larger one only in the original",
    )


class Tracker(Section):
    """The endpoint that tickets are handed to."""

    url: WebAddress = _key("http://127.0.0.1:8100/events", "接收事件的地址；留空则不投递", "where events are sent; empty: nowhere")
    secret: Secret = _key(
        "",
        "签名密钥 whsec_…；留空则自动生成于 secrets/tracker.secret",
        "signing secret whsec_…; empty: made and kept in secrets/tracker.secret",
    )
    allow_private_hosts: Hosts = _key(
        ["127.0.0.1", "localhost"], "允许投递到的内网主机名（防 SSRF）", "hosts in private networks that may be sent to (SSRF guard)"
    )
    timeout_seconds: Seconds = _key(20, "单次投递超时（秒）", "seconds until one try is given up")
    concurrency: Count = _key(16, "同时投递数", "most tries at once")
    types: Types = _key([kind.value for kind in USUAL_TYPES], '告知哪些事件；["*"] 为全部', 'which events it is told of; ["*"] for all')
    rate_per_second: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = _key(
        0.0, "每秒最多投递几次，每个节点各计；0 为不限", "most tries in a second, of each node; 0: no limit"
    )


class Report(Section):
    """Proof that nothing is missing."""

    reconcile_hour: Annotated[int, Field(ge=-1, le=23)] = _key(
        3, "每天几点（本地时区）对账；-1 为从不", "hour (local time) of the nightly reconciliation; -1: never"
    )
    reconcile_days: Annotated[int, Field(gt=0, le=3660)] = _key(
        35, "每晚对账回看多少天", "how many days back the nightly reconciliation looks"
    )


class Classifier(Section):
    """How sure the classifier must be."""

    tolerated_error: Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)] = _key(
        0.05,
        "自动分派中可以容忍的错误比例；其余交人工判定",
        "share of wrongly routed complaints that is put up with among those routed alone; all others go to a person",
    )


class Learning(Section):
    """When the classifier learns from corrections, and who lets a candidate answer."""

    retrain_after: Annotated[int, Field(ge=0)] = _key(
        200, "累计多少件新判定后自动重新训练；0 为从不", "retrain after so many newly corrected complaints; 0: never"
    )
    nightly_hour: Annotated[int, Field(ge=-1, le=23)] = _key(
        -1, "每天几点（本地时区）有新判定就重新训练；-1 为从不", "retrain each day at this hour when there is something new; -1: never"
    )
    promote_alone: bool = _key(
        False,
        "候选通过把关后是否自动启用；否则由人启用",
        "whether a candidate that passed the gate answers at once; else a person promotes it",
    )
    memory_years: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = _key(
        2.0, "例子的分量每过多少年减半", "after so many years an example counts half"
    )


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
