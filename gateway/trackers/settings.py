"""Which settings of an endpoint belong to which kind of tracker, what is wrong with them together, and what states usually mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from models.endpoint import TICKET_KINDS, EndpointKind
from models.status import StatusCode

_TICKETS = frozenset(TICKET_KINDS)
# Which kinds know a setting; what is not named here every kind does.
_KINDS: Mapping[str, frozenset[EndpointKind]] = {
    **dict.fromkeys(("format", "secret", "secret_file"), frozenset({EndpointKind.WEBHOOK, EndpointKind.RABBITMQ})),
    **dict.fromkeys(
        (
            "api_key",
            "api_key_file",
            "priority_map",
            "status_map",
            "tells_customer",
            "files",
            "largest_file_bytes",
            "poll_seconds",
        ),
        _TICKETS,
    ),
    "project": frozenset({EndpointKind.REDMINE}),
    "tracker": frozenset({EndpointKind.REDMINE}),
    "queue": frozenset({EndpointKind.RT, EndpointKind.RABBITMQ}),
    "mapping": frozenset({EndpointKind.MAPPED}),
    "values": frozenset({EndpointKind.MAPPED}),
    "key_field": frozenset({EndpointKind.REDMINE, EndpointKind.RT}),
    "reopened_status": frozenset({EndpointKind.REDMINE, EndpointKind.RT}),
    "markup": frozenset({EndpointKind.REDMINE, EndpointKind.MAPPED}),
}
_NEEDED: Mapping[EndpointKind, str] = {EndpointKind.REDMINE: "project", EndpointKind.RT: "queue", EndpointKind.MAPPED: "mapping"}

# What the states of a fresh system mean. Those that only say that a ticket is there say nothing to us.
USUAL_STATUSES: Mapping[EndpointKind, Mapping[str, StatusCode]] = {
    EndpointKind.REDMINE: {
        "In Progress": StatusCode.IN_PROGRESS,
        "进行中": StatusCode.IN_PROGRESS,
        "Feedback": StatusCode.NEED_INFO,
        "反馈": StatusCode.NEED_INFO,
        "Resolved": StatusCode.RESOLVED,
        "已解决": StatusCode.RESOLVED,
        "Closed": StatusCode.RESOLVED,
        "已关闭": StatusCode.RESOLVED,
        "Rejected": StatusCode.REJECTED,
        "已拒绝": StatusCode.REJECTED,
    },
    EndpointKind.RT: {
        "open": StatusCode.IN_PROGRESS,
        "stalled": StatusCode.NEED_INFO,
        "resolved": StatusCode.RESOLVED,
        "rejected": StatusCode.REJECTED,
    },
}


def problem(section: Any) -> tuple[str, str, str] | None:
    """What is wrong with the keys of an endpoint together: the key, in Chinese, in English. None where nothing is."""
    kind: EndpointKind = section.kind
    for key in section.model_fields_set:
        kinds = _KINDS.get(key)
        if kinds is not None and kind not in kinds:
            known = "、".join(sorted(kinds))
            return key, f"只用于 kind 为 {known} 的接收方，而这里是 {kind}", f"is for endpoints of kind {known}, and this is {kind}"
    needed = _NEEDED.get(kind)
    if needed and not getattr(section, needed).strip():
        return needed, f"kind 为 {kind} 时必须给出", f"must be given where kind is {kind}"
    if kind not in TICKET_KINDS:
        return None
    if kind is EndpointKind.REDMINE and section.key_field and not (section.key_field.isascii() and section.key_field.isdigit()):
        return "key_field", f"“{section.key_field}” 不行，应为自定义字段的编号", f"'{section.key_field}' will not do: the custom field's id"
    parts = urlsplit(section.url)
    if not section.url or parts.query or parts.fragment or parts.username:
        return "url", "应为跟踪系统首页的地址，没有 ? 和 #", "must be the address of the tracker's front page, without ? and #"
    if section.api_key and section.api_key_file:
        return "api_key_file", "与 api_key 只能写一个", "and api_key: write one of them"
    return None
