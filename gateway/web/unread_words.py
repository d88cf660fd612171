"""The console's words for numbers of which nothing is read yet."""

# A row of the table is one line, however long.

from __future__ import annotations

from collections.abc import Mapping

UNREAD_WORDS: Mapping[str, tuple[str, str]] = {
    "unread.waiting": ("已收到，还没有读完", "Received, not read yet"),
    "unread.parked": ("已收到，内容无法读取，已搁置", "Received, cannot be read, parked"),
    "unread.received": ("{at} 经{channel}收到，原文完整保存。", "Received at {at} by {channel}; the bytes are kept whole."),
    "unread.by_mailbox": ("来自邮箱 {name}。", "From the mailbox {name}."),
    "unread.wait": ("通常一两秒内读完并分类，请刷新。", "It is read and sorted by itself within a second or two; reload the page."),
    "unread.tried": ("已试 {n} 次，上次：{reason}，会自动再试。", "Tried {n} times, the last time: {reason}. It is tried again by itself."),
    "unread.why": ("原因", "Why"),
    "unread.size": ("{n} 字节", "{n} bytes"),
    "unread.lead": (
        "组长可以下载原文，管理员可以从原文重读；在此之前请直接联系顾客。",
        "A lead can download it, an operator can have it read again; until then, ask the customer.",
    ),
    "unread.where": ("在“搁置”页处理", "See to it under Parked"),
    "unread.first": (
        "{number} 已收到，还没有读出来，现在不能处理。什么都没有改动。",
        "{number} was received and is not read; nothing can be done to it yet. Nothing was changed.",
    ),
    "unread.found": ("查看 {number}", "See {number}"),
    "warning.parked": ("有 {n} 件搁置，等人处理。", "{n} parked, waiting for somebody."),
}
