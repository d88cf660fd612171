"""The JSON Schemas of events (draft 2020-12), from one literal table; `make docs` writes them into `gateway/schemas/`.

What is published stays: within a version keys are only added, and are optional; no type is widened; a list that says "further values may
come" is the only kind that grows. `tests/contract/test_schemas.py` compares with what was published.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from models.assignment import Priority
from models.delivery import EventType
from models.endpoint import Exchange
from models.status import StatusCode
from models.submission import Channel
from models.verdict import ComplaintClass, Decision, Risk

VERSION = "v1"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_Schema = dict[str, Any]
# What a receiver must put up with: keys that it does not know.
_OPEN = "可能增加新的键 / further keys may come"


def name_of(kind: str) -> str:
    """The name of the schema of an event type, as it stands in events and in addresses: `complaint.routed.v1`."""
    return f"{kind}.{VERSION}"


def _text(zh: str, en: str, **more: Any) -> _Schema:
    return {"type": "string", "description": f"{zh} / {en}", **more}


def _time(zh: str, en: str) -> _Schema:
    return _text(zh, en, format="date-time")


def _of(values: list[str], zh: str, en: str) -> _Schema:
    """One of a closed list."""
    return {"type": "string", "enum": values, "description": f"{zh} / {en}"}


def _growing(values: list[str], zh: str, en: str) -> _Schema:
    """One of a list that may grow."""
    return _text(f"{zh}；可能增加新值", f"{en}; further values may come", examples=values)


def _list(items: _Schema, zh: str, en: str, **more: Any) -> _Schema:
    return {"type": "array", "items": items, "description": f"{zh} / {en}", **more}


def _number(zh: str, en: str, **more: Any) -> _Schema:
    return {"type": "number", "description": f"{zh} / {en}", **more}


def _whole(zh: str, en: str, **more: Any) -> _Schema:
    return {"type": "integer", "description": f"{zh} / {en}", **more}


def _flag(zh: str, en: str) -> _Schema:
    return {"type": "boolean", "description": f"{zh} / {en}"}


def _object(needed: tuple[str, ...], zh: str, en: str, **properties: _Schema) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(needed), "description": f"{zh} / {en}"}


_CLASSES = [klass.value for klass in ComplaintClass]
_CLASS = _of(_CLASSES, "类别", "class")
_LINKS = _object(("self",), "链接", "links", self=_text("整件投诉（需要令牌）", "the whole complaint (wants the API token)", format="uri"))

# What every event says.
_HEAD: dict[str, _Schema] = {
    "schema": _text("本事件的模式", "the schema of this event"),
    "event_id": _text("事件号", "this event", pattern="^evt_[0-9a-f]{32}$"),
    "number": _text("投诉编号，可以告诉人", "the complaint's number: tell it to people", pattern="^TS-[0-9]{8}-[0-9]{4,}$"),
    "idempotency_key": _text("一个键一张工单，不论收到几次", "one ticket for one key, however often you are told"),
    "round": _whole("第几次处理", "which handling of the complaint this is", minimum=1),
    "channel": _growing([c.value for c in Channel], "渠道", "by which way it came in"),
    "links": _LINKS,
}

_VERDICT: dict[str, _Schema] = {
    "class": _CLASS,
    "class_name": _text("类别的中文名", "its Chinese name"),
    "confidence": _number("把握", "how sure", minimum=0, maximum=1),
    "probabilities": _object(
        tuple(_CLASSES), "各类的概率", "of each class", **{k: _number("概率", "chance", minimum=0, maximum=1) for k in _CLASSES}
    ),
    "secondary": _list(_CLASS, "还涉及的类别", "further classes that it complains of"),
    "decision": _growing([d.value for d in Decision], "自动、待审或人工", "routed alone, to be reviewed, or decided by a person"),
    "candidates": _list(_CLASS, "最可能的两类", "the two likeliest classes", minItems=2, maxItems=2),
    "reasons": _list(
        _object(("term", "weight"), "依据", "reason", term=_text("词", "word"), weight=_number("权重", "weight")),
        "依据的词与权重",
        "the words that decided, with their weights",
    ),
    "risk": _list(_growing([r.value for r in Risk], "风险", "risk"), "风险", "risks found (预案 二)"),
    "trained_model": _text("模型版本", "version of the trained model"),
}

_TICKET: dict[str, _Schema] = {
    "supersedes": {"type": ["string", "null"], "description": "被本事件取代的上一事件 / the event before it, which no longer holds"},
    "received_at": _time("受理时间", "when it was taken in"),
    "title": _text("标题", "title", maxLength=200),
    "summary": _text("一行摘要", "one line", maxLength=60),
    "matter": _text("投诉内容", "what it is about", maxLength=4000),
    "matter_truncated": _flag("内容是否截短，其余见 links.self", "whether it was cut; the rest is behind links.self"),
    "messages": _whole("消息数", "how many messages there are", minimum=0),
    "attachments": _list(
        _object(
            ("filename", "size", "mime_type"),
            "附件",
            "attachment",
            filename=_text("文件名", "name"),
            size=_whole("字节数", "bytes", minimum=0),
            mime_type=_text("类型（按内容）", "type, by its content"),
            id=_text("附件编号", "its id"),
            link=_text("取原文件的地址（需要令牌）", "where its bytes are (wants a token)", format="uri"),
            state=_growing(["too_many", "too_large"], "为何没有链接", "why there is no link"),
        ),
        "附件",
        "attachments",
        maxItems=20,
    ),
    "customer": _object(
        (),
        "顾客与房屋，找到什么写什么",
        "who complains and about which home, as found",
        **{key: _text(zh, key) for key, zh in {"name": "姓名", "phone": "电话", "email": "邮箱", "estate": "楼盘", "unit": "房号"}.items()},
    ),
    "missing": _list(_growing(["name", "contact", "estate", "unit"], "缺项", "missing"), "没有找到的信息", "what nobody found"),
    **_VERDICT,
    "department": _object(("code", "name"), "责任部门", "who must act", code=_text("代码", "code"), name=_text("名称", "name")),
    "steps": _list(_text("步骤", "step"), "处理步骤（预案 4.3）", "how to act"),
    "priority": _of([p.value for p in Priority], "优先级", "how urgent"),
    "reply_due": _time("最迟答复时间", "by when the customer must hear from you"),
    "resolve_due": _time("最迟解决时间", "by when it should be settled"),
    "escalate_to": _list(_text("部门", "department"), "还须知会", "who else must know"),
    "rule": _text("分派规则", "the rule that decided"),
    "rule_reason": _text("规则说明", "the rule in words"),
    "plan_version": _text("预案版本", "version of the plan"),
}

# Of complaints by phone, and of none else.
_CALLS: dict[str, _Schema] = {
    "calls": _list(
        _object(
            (),
            "通话，知道什么写什么",
            "a call, as far as known",
            id=_text("通话编号", "its id at the call centre"),
            started_at=_text("开始时间", "when it began"),
            duration=_number("时长（秒）", "its length in seconds", minimum=0),
            caller=_text("主叫号码", "the number that called"),
            agent=_text("坐席", "the agent"),
            recording=_text("录音地址，原样文字", "a link to the recording, as text that nobody has fetched"),
            centre=_text("呼叫中心", "the call centre"),
        ),
        "最近五次通话",
        "the newest five calls",
        maxItems=5,
    ),
    "call_back": {"type": ["string", "null"], "description": "为何须回电，不须则空 / why somebody must ring the customer up, else null"},
    "agent_conduct": _list(
        _object(
            ("code", "name", "cue", "text", "message", "turn", "start"),
            "坐席用语",
            "what an agent said",
            code=_growing(["brush_off", "impatient", "insult", "threat", "hangs_up"], "代码", "code"),
            name=_text("名称", "its Chinese name"),
            cue=_text("依据的词", "the words that it was told by"),
            text=_text("整句", "the whole sentence"),
            message=_whole("第几条消息", "which message, from 1", minimum=1),
            turn=_whole("第几句", "which turn of it, from 1", minimum=1),
            start={"type": ["number", "null"], "description": "开始秒数 / where it begins, in seconds"},
        ),
        "坐席用语，只作证据",
        "what bears out a complaint about service; evidence, decides nothing",
        maxItems=5,
    ),
}

_NEW_MESSAGE: dict[str, _Schema] = {
    "new_message": _text("新增的话", "what is new", maxLength=4000),
    "new_message_truncated": _flag("是否截短", "whether it was cut"),
}

# What each event says beside the head: what is always there, what may be there, and when it is sent.
_EVENTS: Mapping[EventType, tuple[Mapping[str, _Schema], Mapping[str, _Schema], str, str]] = {
    EventType.RECEIVED: (
        {key: _TICKET[key] for key in ("received_at", "title", "summary", "attachments")}
        | {"machine": _flag("是否机器所写", "whether a machine wrote it")},
        {},
        "一件投诉已受理并读出",
        "a complaint was taken in and read",
    ),
    EventType.CLASSIFIED: (_VERDICT, {}, "模型或人给出了类别", "the trained model or a person has said what it is"),
    EventType.ROUTED: (_TICKET, _CALLS, "首次分类并分派，请建工单", "sorted and assigned for the first time: make a ticket"),
    EventType.REROUTED: (
        _TICKET,
        _NEW_MESSAGE | _CALLS,
        "类别、部门或优先级有变；不再归您的投诉也会告知一次",
        "class, department or priority changed; also told to whom it no longer concerns",
    ),
    EventType.UPDATED: (_TICKET | _NEW_MESSAGE, _CALLS, "顾客又有补充，分派不变", "the customer wrote more; the assignment stays"),
    EventType.REOPENED: (
        _TICKET | {"reopened_by": _growing(["customer", "staff", "tracker"], "由谁重开", "who reopened it")},
        {"opinion": _text("顾客的意见", "what the customer says", maxLength=4000)} | _CALLS,
        "重新处理，轮次加一（预案 4.4）",
        "handled once more: the next round begins",
    ),
    EventType.CUSTOMER_RATED: (
        {"rating": _whole("评分，5 为最满意", "5 is best", minimum=1, maximum=5), "satisfied": _flag("是否满意", "whether satisfied")},
        {"comment": _text("顾客的话", "in the customer's words", maxLength=4000)},
        "顾客作了评价（预案 4.4）",
        "the customer has rated the handling",
    ),
    EventType.CLOSED: (
        {
            "outcome": _growing(["resolved", "rejected"], "结果", "how it ended"),
            "closed_by": _growing(["tracker", "staff", "plan"], "由谁办结", "who closed it"),
        },
        {},
        "办结",
        "closed",
    ),
    EventType.ERASED: (
        {"reason": _growing(["person_asked", "retention"], "原因", "why")},
        {},
        "顾客信息已删除，请一并删除您的副本",
        "whose complaint it was is gone; please erase your copy",
    ),
}

TEST = "endpoint.test"
_EXCHANGE = Exchange().name
STATUS = "complaint.status"


def _whole_schema(kind: str, data: _Schema, zh: str, en: str) -> _Schema:
    return {
        "$schema": _DRAFT,
        "$id": f"{name_of(kind)}.json",
        "title": kind,
        "description": f"{zh} / {en}",
        "$comment": _OPEN,
        "type": "object",
        "properties": {"type": {"const": kind}, "timestamp": _time("发生时间", "when it happened"), "data": data},
        "required": ["type", "timestamp", "data"],
    }


def made() -> dict[str, _Schema]:
    """Every schema by its name, as the files should be."""
    found: dict[str, _Schema] = {}
    for kind, (always, perhaps, zh, en) in _EVENTS.items():
        data = _object((*_HEAD, *always), "内容", "content", **_HEAD, **always, **perhaps)
        found[name_of(kind)] = _whole_schema(kind, data, zh, en)
    test = _object(
        ("endpoint", "message"), "内容", "content", endpoint=_text("接收方", "your endpoint's name"), message=_text("说明", "what this is")
    )
    found[name_of(TEST)] = _whole_schema(TEST, test, "测试，不涉及任何投诉，答复 2xx 即可", "a test, about no complaint: answer 2xx")
    found[name_of(STATUS)] = _whole_schema(STATUS, _status(), "您发给我们的处理进展", "what you tell us of the handling")
    return found


def _status() -> _Schema:
    return _object(
        ("number", "status"),
        "进展",
        "how it stands",
        number=_HEAD["number"],
        status=_of([code.value for code in StatusCode], "进展", "status"),
        round=_whole("第几次处理；不写为当前一次", "which handling; the current one where it is left out", minimum=1),
        sequence=_whole("您的序号，越大越新", "your own count: the greater, the newer", minimum=0),
        customer_text=_text("告诉顾客的话", "words for the customer", maxLength=2000),
        internal_text=_text("内部说明，顾客看不到", "for staff only", maxLength=4000),
        by=_text("处理人", "who handles it", maxLength=80),
    )


def served() -> dict[str, bytes]:
    """The files that ship, by name, as they are served."""
    folder = resources.files("gateway").joinpath("schemas")
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".json")}


def asyncapi() -> _Schema:
    """The AsyncAPI 3.0 document of what is sent to endpoints and what is heard from them; the schemas stand in it whole."""
    schemas = made()
    heard = name_of(STATUS)
    sent = [name for name in schemas if name != heard]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "接诉 jiesu events",
            "version": "1",
            "description": "Standard Webhooks 1.0.0 or CloudEvents 1.0 over HTTP or AMQP 0-9-1; the same events by GET /api/v1/events.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "endpoint": {
                "address": None,
                "description": "接收方的地址 / the address of an endpoint",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in sent},
            },
            "broker": {
                "address": "{type}.{department}",
                "description": "RabbitMQ 的 topic 交换机，CloudEvents 的 data 即下列内容的 data；没有部门的事件只有类型 / "
                "a topic exchange of RabbitMQ; data of the CloudEvent is data of these; the type alone where there is no department",
                "parameters": {
                    "type": {"description": "事件类型 / the type of the event"},
                    "department": {"description": "部门代码 / the code of the department"},
                },
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in sent},
                "bindings": {
                    "amqp": {
                        "is": "routingKey",
                        "exchange": {"name": _EXCHANGE, "type": "topic", "durable": True},
                        "bindingVersion": "0.3.0",
                    }
                },
            },
            "status": {
                "address": "/api/v1/status",
                "description": "您向我们报告处理进展：POST，用您这个接收方的密钥按 Standard Webhooks 签名；答复见 openapi.json / "
                "where you tell us of the handling: a POST, signed with your endpoint's secret; openapi.json has the answers",
                "messages": {heard: {"$ref": f"#/components/messages/{heard}"}},
            },
        },
        "operations": {
            "hear": {
                "action": "receive",
                "channel": {"$ref": "#/channels/status"},
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            },
            "tell": {"action": "send", "channel": {"$ref": "#/channels/endpoint"}},
            "publish": {
                "action": "send",
                "channel": {"$ref": "#/channels/broker"},
                "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": "0.3.0"}},
            },
        },
        "components": {
            "messages": {
                name: {
                    "name": schemas[name]["title"],
                    "summary": schemas[name]["description"],
                    "headers": {
                        "type": "object",
                        "properties": {key: {"type": "string"} for key in ("webhook-id", "webhook-timestamp", "webhook-signature")},
                    },
                    "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": schemas[name]},
                }
                for name in (*sent, heard)
            }
        },
    }


def components() -> dict[str, _Schema]:
    """The schemas as the OpenAPI 3.1 document holds them, by name."""
    return {name: schema for name, schema in made().items() if name != name_of(STATUS)}


def _component(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def webhooks() -> _Schema:
    """The `webhooks` part of the OpenAPI 3.1 document."""
    return {
        schema["title"]: {
            "post": {
                "summary": schema["description"],
                "requestBody": {"content": {"application/json": {"schema": _component(name)}}},
                "responses": {"2XX": {"description": "收到 / taken"}},
            }
        }
        for name, schema in components().items()
    }


def any_event() -> _Schema:
    """An event of the feed, for the OpenAPI document."""
    return {"oneOf": [_component(name_of(kind.value)) for kind in _EVENTS]}


def files() -> dict[str, str]:
    """Every file of `gateway/schemas/` as it should be."""
    whole = {f"{name}.json": schema for name, schema in made().items()} | {"asyncapi.json": asyncapi()}
    return {name: json.dumps(schema, ensure_ascii=False, indent=1) + "\n" for name, schema in whole.items()}
