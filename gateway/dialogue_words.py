"""The machine's words in a chat: every sentence and question as a literal table, in both languages (预案 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.chat_answers import CLASSES, Ask

# Which wording of the question for consent a customer agreed to; change it with the wording (PIPL 13, 14, 17).
CONSENT_VERSION = "2026-11"

Both = tuple[str, str]

SKIP: Both = ("跳过", "Skip")


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the machine: its words, its words when it is asked again, and the quick replies that stand beside the text box."""

    words: Both
    again: Both
    replies: tuple[Both, ...] = (SKIP,)


# In the order in which they are asked. Whatever the customer has written already is not asked.
QUESTIONS: Mapping[Ask, Question] = {
    # Only the matter cannot be skipped: without it there is no complaint.
    Ask.MATTER: Question(
        ("请写下这件事：发生了什么？", "Please write what happened."),
        ("请写下您遇到的问题。", "Please write what happened."),
        (),
    ),
    # Before anything of the person is asked (PIPL 13 (1), 14, 17): what for, and that it may be refused.
    Ask.CONSENT: Question(
        (
            "为办理这件投诉，需要您的姓名、联系方式、楼盘和房号，只用于处理和回访，不作他用。您同意吗？不同意也会受理。",
            "To handle this we need your name, how to reach you, estate and unit, only to handle it and to follow it up. Do you agree?"
            " It is taken in even if you do not.",
        ),
        ("您同意我们为办理投诉使用您的姓名、联系方式和房号吗？", "Do you agree that we use your name, contact and unit to handle this?"),
        (("同意", "I agree"), ("不同意", "I do not agree")),
    ),
    Ask.NAME: Question(("怎么称呼您？", "What is your name?"), ("请问您的姓名？", "May we have your name?")),
    Ask.CONTACT: Question(
        ("请留下手机号或邮箱，方便答复您。", "Please leave a phone number or an e-mail address for the answer."),
        ("这不像手机号或邮箱，请再写一次。", "This does not look like a phone number or an e-mail address; please write it once more."),
    ),
    Ask.ESTATE: Question(("是哪个楼盘（小区）？", "Which estate is it?"), ("请问楼盘（小区）的名称？", "What is the estate called?")),
    Ask.UNIT: Question(
        ("几栋几单元几室？例如：3栋2单元1201。", "Which building and unit? For example: building 3, unit 1201."),
        ("请写楼栋和房号，例如：3栋2单元1201。", "Please write building and unit, for example: building 3, unit 1201."),
    ),
    Ask.SINCE: Question(
        ("这个问题从什么时候开始的？", "Since when has it been so?"),
        ("大约从什么时候开始的？", "About since when?"),
        (("今天", "Today"), ("最近一周", "This week"), ("一个月以上", "More than a month"), SKIP),
    ),
    # Once it is sorted: the customer may say that it is something else.
    Ask.CLASS: Question(
        ("这件投诉归为“{class_zh}”，对吗？", "We took this as: {class_en}. Is that right?"),
        ("那么属于哪一类？", "Which is it, then?"),
        (("对", "Right"),),
    ),
}

# What the machine says beside its questions.
SAYS: Mapping[str, Both] = {
    "taken": ("已收到，编号 {number}。", "Received, number {number}."),
    "taken_more": ("补充的内容已收到，会一并转给责任部门。", "We have what you added; it goes to the department in charge as well."),
    "file": ("文件“{name}”已收到。", "We have your file “{name}”."),
    "declined": (
        "好的，不再询问个人信息，投诉照常受理。请记下编号，以便查询。",
        "Very well; we ask for nothing of yours. Please keep the number.",
    ),
    "noted": ("谢谢，都记下了。有补充随时写在这里。", "Thank you, all is noted. You may add to it here at any time."),
    "routed": ("已转交{department_zh}，{within_zh}与您联系。", "Passed to: {department_en}. They will contact you {within_en}."),
    "review": (
        "客服专员正在确认类别，{within_zh}与您联系。",
        "A customer service agent is confirming the category and will contact you {within_en}.",
    ),
    "confirmed": ("好的，谢谢确认。", "Thank you for confirming."),
    "objected": (
        "记下了：您认为是“{class_zh}”。客服专员会重新核对，有变动会告诉您。",
        "Noted: you say that it is {class_en}. An agent will look at it again and tell you what changes.",
    ),
    "another": (
        "好的，另一件事单独受理，会有自己的编号。",
        "Very well; the other matter is taken in by itself and gets a number of its own.",
    ),
    "agent": ("客服专员 {name} 已加入对话。", "{name} of customer service has joined."),
    "machine": ("客服专员已离开，由自动受理程序继续。", "The agent has left; the machine goes on."),
}

# What is offered when the customer only says that the class is wrong.
CLASS_REPLIES: tuple[Both, ...] = tuple(CLASSES.values())


def objections(klass: str) -> tuple[Both, ...]:
    """Quick replies to the class that was told: right, or each of the others."""
    others = [words for code, words in CLASSES.items() if code != klass]
    return (*QUESTIONS[Ask.CLASS].replies, *((f"不对，是{zh}", f"Wrong, it is {en}") for zh, en in others))


def within(hours: int) -> Both:
    """In how many hours, in words; as soon as possible where none are left."""
    if hours < 1:
        return "会尽快", "as soon as possible"
    return f"将在 {hours} 小时内", f"within {hours} {'hour' if hours == 1 else 'hours'}"
