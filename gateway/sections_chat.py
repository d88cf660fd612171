"""The settings of the web chat."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.sections import Count, Seconds, Section, WebAddress, Wrong, setting

Minutes = Annotated[float, Field(gt=0, le=527_040, allow_inf_nan=False)]


def _origins(values: list[str]) -> list[str]:
    for value in values:
        scheme, _, rest = value.rstrip("/").partition("://")
        if scheme not in ("http", "https") or not rest or any(char in rest for char in "/?#@*; '\""):
            raise Wrong(
                f"“{value}” 不是网站地址，应如 https://www.example.com（不带路径）",
                f"'{value}' is no origin; write e.g. https://www.example.com (no path)",
            )
    return values


def _long_enough(value: str) -> str:
    if value and len(value) < 32:
        raise Wrong("太短，至少 32 个字符；留空则自动生成", "is too short, 32 characters at least; leave it empty to have one made")
    return value


class Chat(Section):
    """The web chat."""

    enabled: bool = setting(True, "是否开放在线对话", "whether the web chat is open")
    allowed_origins: Annotated[list[str], AfterValidator(_origins)] = setting(
        [],
        "可以嵌入对话的网站，如 https://www.example.com；本站总是允许",
        "sites that may open the chat, e.g. https://www.example.com; our own always may",
    )
    max_line_chars: Count = setting(4000, "单条消息字数上限", "longest line, in characters")
    max_lines_per_minute: Count = setting(30, "每位访客每分钟消息上限", "most lines of one visitor in a minute")
    max_lines_per_minute_of_address: Count = setting(300, "同一地址每分钟消息上限", "most lines of one address in a minute")
    max_new_per_hour_of_address: Count = setting(60, "同一地址每小时新对话上限", "most new conversations of one address in an hour")
    max_connections: Count = setting(1000, "同时对话数上限", "most chats open at once")
    max_connections_per_address: Count = setting(20, "同一地址同时对话数上限", "most chats of one address at once")
    max_upload_bytes: Annotated[int, Field(gt=0, le=104_857_600)] = setting(10_485_760, "单个文件上限（字节）", "largest file, in bytes")
    max_uploads: Count = setting(20, "每个对话文件数上限", "most files in one conversation")
    quiet_seconds: Seconds = setting(4, "顾客停顿多久后开始分类（秒）", "seconds of silence after which the chat is sorted")
    longest_wait_seconds: Seconds = setting(
        60, "顾客一直输入时最迟多久分类（秒）", "seconds after which it is sorted though the customer still writes"
    )
    idle_seconds: Seconds = setting(
        1800, "对话空闲多久后断开（秒；可随时续上）", "seconds until a silent chat is disconnected (it can be resumed)"
    )
    away_minutes: Minutes = setting(
        10,
        "顾客离开多久后改用邮件答复（分钟；留有邮箱时）",
        "minutes after which a customer who is away is answered by mail, if he left an address",
    )
    agent_silent_minutes: Minutes = setting(
        30, "专员多久不说话后由自动程序接回对话（分钟）", "minutes of an agent's silence after which the machine has the conversation again"
    )
    identity_secret: Annotated[str, AfterValidator(_long_enough)] = setting(
        "",
        "网站签名登录用户身份所用的密钥；留空则自动生成于 secrets/chat.identity",
        "secret that sites sign their users' identity with; empty: made and kept in secrets/chat.identity",
    )
    privacy_url: WebAddress = setting("", "个人信息保护政策的网址，显示在对话中", "address of the privacy policy, shown in the chat")
