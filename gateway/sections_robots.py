"""The settings of notices to people: `[notices]`, and `[[robot]]`, one table for each robot that tells them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.sections import EVERY, Hosts, Seconds, Section, WebAddress, Wrong, setting
from gateway.sections_handoff import known_classes
from models.notice import NoticeKind, RobotKind
from models.verdict import Risk

# Each is a letter of its own.
_MOST_RECIPIENTS = 20


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", value):
        raise Wrong("应为 1–40 个小写字母、数字或连字符", "must be 1 to 40 small letters, digits or hyphens")
    return value


def _kinds(values: list[str]) -> list[str]:
    for value in values:
        if value != EVERY and value not in list(NoticeKind):
            known = ", ".join(NoticeKind)
            raise Wrong(f"没有提醒 “{value}”，可以写 * 或 {known}", f"there is no notice '{value}'; write * or {known}")
    return values


def _risks(values: list[str]) -> list[str]:
    for value in values:
        if value not in list(Risk):
            known = ", ".join(Risk)
            raise Wrong(f"没有风险 “{value}”，可以写 {known}", f"there is no risk '{value}'; write {known}")
    return values


def _quiet(value: str) -> str:
    if value and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", value):
        raise Wrong("应写作 22:00-07:30；留空为没有", "must be written 22:00-07:30; empty: none")
    if value and value[:5] == value[6:]:
        raise Wrong("起止相同；请写不同的时刻", "begins when it ends; write two different times")
    return value


def _mailboxes(values: list[str]) -> list[str]:
    if len(values) > _MOST_RECIPIENTS:
        raise Wrong(
            f"最多 {_MOST_RECIPIENTS} 个收件人；请改用邮件组的地址",
            f"{_MOST_RECIPIENTS} recipients at most; use the address of a mailing list",
        )
    for value in values:
        local, _, domain = value.partition("@")
        if not local or not domain or "@" in domain or any(c.isspace() or c in '<>,;"' for c in value):
            raise Wrong(f"“{value}” 不是邮箱地址，例如 a@example.com", f"'{value}' is no mail address; write e.g. a@example.com")
    return values


class Notices(Section):
    """When people are told of terms and groups."""

    due_soon_percent: Annotated[int, Field(ge=0, le=90)] = setting(
        25, "期限还剩百分之几时提醒即将到期；0 为不提醒", "percent of a term that are left when people are told that it ends soon; 0: never"
    )
    group_homes: Annotated[int, Field(ge=2, le=1000)] = setting(
        3, "同一楼盘、同一类别有几户投诉即为群诉", "so many homes of one estate that complain of the same class are a group"
    )
    group_hours: Annotated[float, Field(gt=0, le=2160, allow_inf_nan=False)] = setting(
        72.0, "群诉看最近多少小时", "hours looked back over for groups"
    )


class RobotSection(Section):
    """A robot, mailbox or program that tells people what needs them."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="名称，各不相同", json_schema_extra={"en": "its name, unlike the others'"}
    )
    kind: RobotKind = Field(
        description="wecom（企业微信）、dingtalk（钉钉）、feishu（飞书）、email 或 webhook",
        json_schema_extra={"en": "wecom, dingtalk, feishu, email or webhook"},
    )
    url: WebAddress = setting(
        "",
        "机器人的 Webhook 地址，内含密钥；留空则从文件 secrets/robot-名称.url 读取（权限 0600）",
        "the robot's address, which holds a key; empty: read from secrets/robot-NAME.url (mode 0600)",
    )
    secret: str = setting(
        "",
        "签名密钥（钉钉 SEC…，飞书，webhook 为 whsec_…）；留空则用文件 secrets/robot-名称.secret，钉钉和飞书没有该文件即不签名",
        "signing secret (DingTalk SEC…, Feishu, webhook whsec_…); empty: secrets/robot-NAME.secret; without, these two go unsigned",
    )
    recipients: Annotated[list[str], AfterValidator(_mailboxes)] = setting(
        [], "email：收件人；经 [mail] 的服务器发出", "email: to whom; sent by the server of [mail]"
    )
    notices: Annotated[list[str], AfterValidator(_kinds)] = setting(
        [EVERY], '告知哪些提醒；["*"] 为全部', 'which notices it tells; ["*"] for all'
    )
    departments: list[str] = setting(
        [],
        "只告知与这些部门（代码）有关的，含预案要求知会的；留空为全部",
        "only what concerns these departments (codes), those that the plan wants to know included; empty: all",
    )
    classes: Annotated[list[str], AfterValidator(known_classes)] = setting(
        [], "只告知这些类别；留空为全部", "only these classes; empty: all"
    )
    estates: list[str] = setting([], "只告知这些楼盘；留空为全部", "only these estates; empty: all")
    risks: Annotated[list[str], AfterValidator(_risks)] = setting(
        [risk.value for risk in Risk], "风险提醒只告知这些风险", "of risks, only these"
    )
    per_minute: Annotated[int, Field(ge=0, le=100)] = setting(
        0,
        "每分钟最多几条消息，多的合并；0 为按方式：wecom、dingtalk 15，feishu、webhook 60，email 20",
        "most messages a minute, more are put together; 0: by kind: wecom, dingtalk 15, feishu, webhook 60, email 20",
    )
    quiet: Annotated[str, AfterValidator(_quiet)] = setting(
        "",
        "安静时段，如 22:00-07:30；其间只发紧急的，其余到时合并发出",
        "quiet hours, e.g. 22:00-07:30; only what is urgent is told then, the rest together afterwards",
    )
    language: Literal["zh", "en"] = setting("zh", "zh 或 en", "zh or en")
    timeout_seconds: Annotated[Seconds, Field(le=60)] = setting(10, "单次发送超时（秒）", "seconds until one try is given up")
    allow_private_hosts: Hosts = setting(
        [], "允许发送到的内网主机名（防 SSRF）", "hosts in private networks that may be sent to (SSRF guard)"
    )
