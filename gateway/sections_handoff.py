"""The settings of further endpoints, `[[endpoint]]`, one table each; `[tracker]` is in `gateway.sections`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.sections import Count, Seconds, Secret, Section, Types, WebAddress, Wrong, _key
from models.endpoint import USUAL_TYPES, EndpointKind, Format
from models.verdict import ComplaintClass


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", value) or value == "tracker":
        raise Wrong(
            "应为 1–40 个小写字母、数字或连字符，且不是 tracker",
            "must be 1 to 40 small letters, digits or hyphens, and not tracker",
        )
    return value


def _classes(values: list[str]) -> list[str]:
    for value in values:
        if value not in list(ComplaintClass):
            known = ", ".join(ComplaintClass)
            raise Wrong(f"没有类别 “{value}”，可以写 {known}", f"there is no class '{value}'; write {known}")
    return values


class EndpointSection(Section):
    """A further endpoint that is told of events."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="名称，各不相同", json_schema_extra={"en": "its name, unlike the others'"}
    )
    url: WebAddress = Field(description="接收事件的地址", json_schema_extra={"en": "where events are sent"})
    kind: EndpointKind = _key(EndpointKind.WEBHOOK, "方式", "by which means")
    types: Types = _key([kind.value for kind in USUAL_TYPES], '告知哪些事件；["*"] 为全部', 'which events it is told of; ["*"] for all')
    classes: Annotated[list[str], AfterValidator(_classes)] = _key([], "只告知这些类别；留空为全部", "only these classes; empty: all")
    departments: list[str] = _key([], "只告知这些部门（代码）；留空为全部", "only these departments (codes); empty: all")
    estates: list[str] = _key([], "只告知这些楼盘；留空为全部", "only these estates; empty: all")
    format: Format = _key(
        Format.STANDARD_WEBHOOKS,
        "standard-webhooks、cloudevents-binary 或 cloudevents-structured；三种都有签名",
        "standard-webhooks, cloudevents-binary or cloudevents-structured; all three are signed",
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
    allow_private_hosts: list[str] = _key(
        [], "允许投递到的内网主机名（防 SSRF）", "hosts in private networks that may be sent to (SSRF guard)"
    )
