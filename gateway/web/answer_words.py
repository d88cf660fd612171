"""The words of the console about answers to customers and mails that join, in Chinese and English, in one literal table."""

# A row of the table is one line, however long.

from __future__ import annotations

from collections.abc import Mapping

ANSWER_WORDS: Mapping[str, tuple[str, str]] = {
    "kind.answer": ("答复", "answer"),
    # ---- In the timeline
    "answer.kind.acknowledgement": ("受理回执", "acknowledgement"),
    "answer.kind.status": ("处理进展", "progress"),
    "answer.kind.staff": ("客服答复", "answer by staff"),
    "answer.way.email": ("邮件", "mail"),
    "answer.way.chat": ("在线对话", "chat"),
    "answer.way.call": ("电话", "phone"),
    "answer.state.waiting": ("等待送出", "waiting"),
    "answer.state.waiting_call": ("等待致电", "to be rung up"),
    "answer.state.sent": ("已送出", "sent"),
    "answer.state.sent_call": ("已致电", "rung up"),
    "answer.state.suppressed": ("未送出", "not sent"),
    "answer.state.failed": ("送达失败", "failed"),
    "answer.by": ("{by} 写", "by {by}"),
    "answer.by_itself": ("系统自动", "automatic"),
    "answer.to": ("发往 {to}", "to {to}"),
    "answer.tries": ("发送记录", "Tries"),
    "answer.text": ("内容", "Text"),
    "answer.call_list": ("在待回电名单上", "on the call list"),
    # ---- Mails that join, or claim to
    "joined.told": ("这封邮件收到时编号为 {number}，{how}，已并入本投诉。", "This mail came in as {number}; {how}, so it belongs here."),
    "joined.by.token": ("带有我方签发的回信标记", "it shows our signed token"),
    "joined.by.references": ("出自同一发件人并回复了往来邮件", "it is of the same sender and replies to a mail of this complaint"),
    "joined.by.number": ("出自同一发件人并写明了编号", "it is of the same sender and names the number"),
    "joined.by.bounce": ("是对我方答复的退信", "it reports that an answer of ours did not arrive"),
    "joined.by.duplicate": ("与已有邮件相同", "it is a mail that is here already"),
    "joined.aside": ("自动发出，不参与分类。", "Written by a machine; it does not count for the class."),
    "joined.also": ("这些编号也指本投诉：{numbers}", "These numbers lead here too: {numbers}"),
    "claims.told": (
        "自称属于 {number}，但{why}，因此另立一件。",
        "Claims to belong to {number}, but {why}; so it is a complaint of its own.",
    ),
    "claims.forward": ("这是一封转发邮件", "it is forwarded"),
    "claims.forward_reply": ("这是对转发邮件的回复，发件人不同", "it replies to a forwarded mail, and the sender is another"),
    "claims.other_sender": ("发件人不同，也没有有效的回信标记", "the sender is another, and there is no valid token"),
    "claims.new_topic": ("主题完全不同", "the subject is quite another"),
    # ---- Who is to be rung up
    "nav.calls": ("待回电", "To ring"),
    "callback.title": ("待回电的顾客", "Customers to ring up"),
    "callback.hint": (
        "这些话没法写给顾客，请打电话告知，打完点“已致电”。先来的在前。",
        "Nobody can write to these customers; ring them up and press “Rung up”. Oldest first.",
    ),
    "callback.none": ("没有需要回电的顾客。", "Nobody is to be rung up."),
    "callback.name": ("称呼", "Name"),
    "callback.phone": ("电话", "Phone"),
    "callback.unknown": ("未知", "unknown"),
    "callback.no_phone": ("没有留下电话，请看投诉原文", "none was left; see the complaint"),
    "callback.since": ("等待自", "Waiting since"),
    "callback.why": ("为何致电", "Why by phone"),
    "callback.say": ("要告知的话", "What to say"),
    "callback.note": ("备注，例如顾客的答复或没打通（可不填）", "Note, e.g. what he answered (may be empty)"),
    "callback.rung": ("已致电", "Rung up"),
    "callback.done": ("{number} 已记为致电告知。", "{number} is noted as rung up."),
    "callback.more": ("后面还有，处理完这些就会显示。", "There are more; they show once these are done."),
    # ---- Writing
    "reply.title": ("答复顾客", "Answer the customer"),
    "reply.hint": (
        "按顾客来的渠道送出：邮件接在原邮件之后，对话显示在对话里；两者都不行的列入致电名单。",
        "It goes the customer's way: by mail in the thread, in the chat, or onto the call list.",
    ),
    "reply.text": ("答复内容", "What he is told"),
    "reply.look": ("预览", "Preview"),
    "reply.confirm": ("请确认", "Please confirm"),
    "reply.confirm_hint": ("发出后不能收回。", "Once sent it cannot be taken back."),
    "reply.send": ("确认发送", "Send it"),
    "reply.send_call": ("列入致电名单", "Put it on the call list"),
    "reply.keep": ("仍要记录", "Record it all the same"),
    "reply.change": ("返回修改", "Back to change it"),
    "reply.told": ("已答复 {number}，正在送出。", "{number} is answered; it is on its way."),
    "reply.told_call": ("{number} 已列入致电名单。", "{number} is on the call list."),
    "reply.told_suppressed": ("{number} 的答复已记录，但没有送出：{reason}", "The answer to {number} is recorded, but not sent: {reason}"),
}
