"""The settings of further endpoints, `[[endpoint]]`, one table each; `[tracker]` is in `gateway.sections`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from gateway.sections import Count, Hosts, Seconds, Secret, Section, Types, Wrong, _key, _web_address
from models.assignment import Priority
from models.endpoint import BROKERS, USUAL_TYPES, EndpointKind, Exchange, Format
from models.status import StatusCode
from models.verdict import ComplaintClass


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", value) or value == "tracker":
        raise Wrong(
            "应为 1–40 个小写字母、数字或连字符，且不是 tracker",
            "must be 1 to 40 small letters, digits or hyphens, and not tracker",
        )
    return value


def known_classes(values: list[str]) -> list[str]:
    """A list of classes, each of which there is."""
    for value in values:
        if value not in list(ComplaintClass):
            known = ", ".join(ComplaintClass)
            raise Wrong(f"没有类别 “{value}”，可以写 {known}", f"there is no class '{value}'; write {known}")
    return values


_USUAL = Exchange()


def _address(value: str, info: ValidationInfo) -> str:
    broker = value.startswith(("amqp://", "amqps://"))
    if info.data.get("kind") in BROKERS:
        return _broker_address(value, right=broker)
    if broker:
        raise Wrong('这是 RabbitMQ 的地址；请同时写 kind = "rabbitmq"', 'is an address of RabbitMQ; write kind = "rabbitmq" as well')
    return _web_address(value)


def _broker_address(value: str, *, right: bool) -> str:
    if not right:
        raise Wrong(
            'kind = "rabbitmq" 的地址应以 amqp:// 或 amqps:// 开头；要按 HTTP 投递请写 kind = "webhook"',
            'must begin with amqp:// or amqps:// where kind = "rabbitmq"; write kind = "webhook" for HTTP',
        )
    try:
        parts = urlsplit(value)
        whole = bool(parts.hostname and parts.port != 0 and parts.username) and not parts.query and not parts.fragment
        whole = whole and "/" not in parts.path[1:]
    except ValueError:
        whole = False
    if not whole:
        raise Wrong(
            "应写作 amqps://用户名@主机:端口/虚拟主机；其中的特殊字符用 %2F 的形式，密码可放在 password_file",
            "must be written amqps://USER@HOST:PORT/VHOST; special characters as %2F and the like, the password may live in password_file",
        )
    return value


def _for_brokers(value: str, info: ValidationInfo) -> str:
    if info.field_name == "queue" and info.data.get("kind") is EndpointKind.RT:
        # Trackers have queues of another kind.
        return value
    if value and value != _USUAL.name and info.data.get("kind") not in BROKERS:
        raise Wrong('只用于 kind = "rabbitmq"；请删去这一项或改 kind', 'is for kind = "rabbitmq" alone; take it out or change kind')
    return value


def _broker_name(value: str) -> str:
    if len(value.encode()) > 255 or value.startswith("amq.") or not value.isprintable():
        raise Wrong("最多 255 字节，不以 amq. 开头，不含控制字符", "may have 255 bytes, not amq. in front, and no control characters")
    return value


def _not_empty(value: str) -> str:
    if not value:
        raise Wrong(f"不能为空；通常为 {_USUAL.name}", f"may not be empty; {_USUAL.name} is usual")
    return value


_BrokerName = Annotated[str, AfterValidator(_broker_name), AfterValidator(_for_brokers)]


def _priorities(values: dict[str, str]) -> dict[str, str]:
    for name in values:
        if name not in list(Priority):
            known = ", ".join(Priority)
            raise Wrong(f"没有优先级 “{name}”，可以写 {known}", f"there is no priority '{name}'; write {known}")
    return values


def _statuses(values: dict[str, str]) -> dict[str, str]:
    for name, code in values.items():
        if code not in list(StatusCode):
            known = ", ".join(StatusCode)
            raise Wrong(f"“{name}” 应对应 {known} 之一，而不是 “{code}”", f"'{name}' must stand for one of {known}, not '{code}'")
    return values


def _api_key(value: str) -> str:
    if value and not (value.isascii() and value.isprintable() and not value.isspace()):
        raise Wrong("只能有可打印的 ASCII 字符", "must be printable ASCII")
    return value


def _spelt_out(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


ApiKey = Annotated[str, AfterValidator(_api_key)]
# Names that are numbers may be written without quotes.
Spelt = Annotated[str, BeforeValidator(_spelt_out)]


class EndpointSection(Section):
    """A further endpoint that is told of events."""

    @model_validator(mode="before")
    @classmethod
    def _usual_format(cls, given: Any) -> Any:
        """Who reads from a broker expects CloudEvents, unless it is said otherwise."""
        if isinstance(given, dict) and given.get("kind") in list(BROKERS) and "format" not in given:
            return given | {"format": Format.CLOUDEVENTS_STRUCTURED}
        return given

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="名称，各不相同", json_schema_extra={"en": "its name, unlike the others'"}
    )
    # Before the address, which is judged by it.
    kind: EndpointKind = _key(
        EndpointKind.WEBHOOK, "方式：webhook、rabbitmq、redmine、rt 或 mapped", "by which means: webhook, rabbitmq, redmine, rt or mapped"
    )
    url: Annotated[str, AfterValidator(_address)] = Field(
        description="接收事件的地址；rabbitmq 写作 amqps://用户名@主机/虚拟主机；跟踪系统写其首页",
        json_schema_extra={"en": "where events are sent; for rabbitmq amqps://USER@HOST/VHOST; of a tracker its front page"},
    )
    types: Types = _key([kind.value for kind in USUAL_TYPES], '告知哪些事件；["*"] 为全部', 'which events it is told of; ["*"] for all')
    classes: Annotated[list[str], AfterValidator(known_classes)] = _key([], "只告知这些类别；留空为全部", "only these classes; empty: all")
    departments: list[str] = _key([], "只告知这些部门（代码）；留空为全部", "only these departments (codes); empty: all")
    estates: list[str] = _key([], "只告知这些楼盘；留空为全部", "only these estates; empty: all")
    format: Format = _key(
        Format.STANDARD_WEBHOOKS,
        "standard-webhooks、cloudevents-binary 或 cloudevents-structured（rabbitmq 默认为此）；三种都有签名",
        "standard-webhooks, cloudevents-binary or cloudevents-structured (usual for rabbitmq); all three are signed",
    )
    secret: Secret = _key(
        "",
        "签名密钥 whsec_…；留空则保存在 secret_file，可以轮换",
        "signing secret whsec_…; empty: it lives in secret_file and can be rotated",
    )
    secret_file: str = _key(
        "",
        "密钥文件，相对于数据目录；留空为 secrets/endpoint-名称.secret，首次使用时生成",
        "file of the secret, relative to the home; empty: secrets/endpoint-NAME.secret, made at its first use",
    )
    rate_per_second: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = _key(
        0.0, "每秒最多投递几次，每个节点各计；0 为不限", "most tries in a second, of each node; 0: no limit"
    )
    concurrency: Count = _key(16, "同时投递数", "most tries at once")
    timeout_seconds: Annotated[Seconds, Field(le=60)] = _key(20, "单次投递超时（秒）", "seconds until one try is given up")
    exchange: Annotated[_BrokerName, AfterValidator(_not_empty)] = _key(
        _USUAL.name, "rabbitmq：持久 topic 交换机，没有则创建", "rabbitmq: the durable topic exchange, made where there is none"
    )
    queue: _BrokerName = _key(
        "",
        "rt：队列名称。rabbitmq：接收全部事件的仲裁（quorum）队列，没有则创建；留空则由消费者自己绑定",
        "rt: the queue's name. rabbitmq: a quorum queue that takes everything, made where there is none; empty: consumers bind their own",
    )
    password_file: Annotated[str, AfterValidator(_for_brokers)] = _key(
        "",
        "rabbitmq：密码文件（chmod 600），相对于数据目录；url 中没有密码时使用，留空为 secrets/endpoint-名称.password",
        "rabbitmq: file of the password (chmod 600), relative to the home, where url has none; empty: secrets/endpoint-NAME.password",
    )
    tls_ca: Annotated[str, AfterValidator(_for_brokers)] = _key(
        "",
        "rabbitmq：amqps 服务器证书的签发者（PEM），相对于数据目录；留空为系统信任的签发者",
        "rabbitmq: who signed the certificate of an amqps server (PEM), relative to the home; empty: whom the system trusts",
    )
    allow_private_hosts: Hosts = _key([], "允许投递到的内网主机名（防 SSRF）", "hosts in private networks that may be sent to (SSRF guard)")

    # ---- Of trackers that adapters write to (docs/trackers.md); `gateway/trackers/settings.py` knows which kind has which.
    api_key: ApiKey = _key("", "跟踪系统的 API 密钥；建议改用 api_key_file", "API key of the tracker; better in api_key_file")
    api_key_file: str = _key(
        "",
        "API 密钥文件，相对于数据目录；留空为 secrets/endpoint-名称.api-key",
        "file of the API key, relative to the home; empty: secrets/endpoint-NAME.api-key",
    )
    project: str = _key("", "redmine：项目标识", "redmine: the project's identifier")
    tracker: Spelt = _key(
        "", "redmine：跟踪标签的名称或编号；留空为项目默认", "redmine: name or id of the tracker; empty: the project's own"
    )
    mapping: str = _key(
        "",
        "mapped：映射文件，相对于数据目录，或自带的 redmine、zammad、jira",
        "mapped: the mapping's file, relative to the home, or one that ships: redmine, zammad, jira",
    )
    values: dict[str, Spelt] = _key({}, "mapped：映射文件中 values.… 的值", "mapped: what values.… stands for in the mapping")
    key_field: Spelt = _key(
        "",
        "存放投诉键的自定义字段：redmine 写编号，rt 写名称；留空则按主题中的编号查找",
        "custom field for the complaint's key, redmine: its id, rt: its name; empty: found by the number in the subject",
    )
    priority_map: Annotated[dict[str, Spelt], AfterValidator(_priorities)] = _key(
        {},
        "优先级对应表：normal、high、urgent 各为跟踪系统的哪一级；不写用其默认",
        "what normal, high and urgent are called there; left out: its default",
    )
    status_map: Annotated[dict[str, str], AfterValidator(_statuses)] = _key(
        {},
        "状态对应表：跟踪系统的状态 = accepted、in_progress、need_info、resolved 或 rejected；留空用 docs/trackers.md 中的默认",
        "its state = accepted, in_progress, need_info, resolved or rejected; empty: the defaults of docs/trackers.md",
    )
    reopened_status: Spelt = _key("", "重新处理时把工单改为哪个状态；留空不改", "the state that a reopened ticket is given; empty: none")
    markup: Literal["", "textile", "markdown", "jira", "plain"] = _key(
        "", "跟踪系统的文本格式；留空用该方式的默认", "how it shows texts; empty: as that kind usually does"
    )
    tells_customer: bool = _key(
        True, "处理人员的公开回复是否告诉顾客；否则只作内部说明", "whether public replies are for the customer; else for staff only"
    )
    files: bool = _key(True, "是否上传附件", "whether attachments are uploaded")
    largest_file_bytes: Count = _key(5_242_880, "更大的附件不上传，只写明", "larger attachments are named and not uploaded")
    poll_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = _key(
        60.0, "每隔多少秒查询一次进展；0 为不查询", "seconds between two looks at how tickets stand; 0: never"
    )
