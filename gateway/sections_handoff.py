"""The settings of further endpoints, `[[endpoint]]`, one table each; `[tracker]` is in `gateway.sections`."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from gateway.sections import Count, Seconds, Secret, Section, Types, Wrong, _key, _web_address
from models.endpoint import BROKERS, USUAL_TYPES, EndpointKind, Exchange, Format
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
    kind: EndpointKind = _key(EndpointKind.WEBHOOK, "方式：webhook 或 rabbitmq", "by which means: webhook or rabbitmq")
    url: Annotated[str, AfterValidator(_address)] = Field(
        description="接收事件的地址；rabbitmq 写作 amqps://用户名@主机/虚拟主机",
        json_schema_extra={"en": "where events are sent; for rabbitmq amqps://USER@HOST/VHOST"},
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
        0.0, "每秒最多投递几次；0 为不限", "most tries in a second; 0: no limit"
    )
    concurrency: Count = _key(16, "同时投递数", "most tries at once")
    timeout_seconds: Annotated[Seconds, Field(le=60)] = _key(20, "单次投递超时（秒）", "seconds until one try is given up")
    exchange: Annotated[_BrokerName, AfterValidator(_not_empty)] = _key(
        _USUAL.name, "rabbitmq：持久 topic 交换机，没有则创建", "rabbitmq: the durable topic exchange, made where there is none"
    )
    queue: _BrokerName = _key(
        "",
        "rabbitmq：接收全部事件的仲裁（quorum）队列，没有则创建；留空则由消费者自己绑定",
        "rabbitmq: a quorum queue that takes everything, made where there is none; empty: consumers bind their own",
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
    allow_private_hosts: list[str] = _key(
        [], "允许投递到的内网主机名（防 SSRF）", "hosts in private networks that may be sent to (SSRF guard)"
    )
