"""The words of the console's pane for a chat, in Chinese and English."""

# A row of the table is one line, however long.

from __future__ import annotations

from collections.abc import Mapping

TALK_WORDS: Mapping[str, tuple[str, str]] = {
    "talk.title": ("在线对话 {number}", "Chat {number}"),
    "talk.open": ("打开在线对话", "Open the chat"),
    "talk.complaint": ("投诉详情", "The complaint"),
    "talk.here": ("顾客在线", "the customer is connected"),
    "talk.away": ("顾客不在线；留有邮箱的话，答复会改由邮件发送", "the customer is away; if he left an address, an answer goes by mail"),
    "talk.writes": ("顾客正在输入…", "the customer is writing…"),
    "talk.machine_has_it": ("自动受理程序在应答", "the machine answers"),
    "talk.agent_has_it": ("{name} 在应答，自动程序不作声", "{name} answers, and the machine is silent"),
    "talk.consented": ("已同意使用个人信息：{at}，文本版本 {version}", "consented to the use of personal data: {at}, wording {version}"),
    "talk.not_consented": ("没有同意使用个人信息的记录", "no consent to the use of personal data is recorded"),
    "talk.take": ("接管对话", "Take over"),
    "talk.hand_back": ("交还自动程序", "Hand back to the machine"),
    "talk.lines": ("对话内容", "Conversation"),
    "talk.customer": ("顾客", "customer"),
    "talk.machine": ("自动程序", "machine"),
    "talk.answer": ("写给顾客", "Write to the customer"),
    "talk.hint": (
        "写一句就是接管；30 分钟不写，自动程序会接回去。",
        "Writing takes it over; after 30 minutes of silence the machine has it again.",
    ),
    "talk.send": ("发送", "Send"),
    "talk.sent": ("已发给顾客", "Sent to the customer"),
    "talk.taken": ("已接管，自动程序不再应答", "You have it; the machine is silent"),
    "talk.handed_back": ("已交还自动程序", "The machine has it again"),
    "talk.other": ("另一件：{number}", "another matter: {number}"),
    "talk.file": ("文件", "file"),
    "kind.statement": ("顾客说", "the customer says"),
    "statement.told": (
        "类别应为“{klass}”，不是“{was}”。由人核对，不用于训练。",
        "it is {klass}, not {was}. For a person to check; nothing is learned from it.",
    ),
    "statement.wrong": ("类别“{was}”不对。由人核对，不用于训练。", "{was} is wrong. For a person to check; nothing is learned from it."),
}
