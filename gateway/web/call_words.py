"""What the console says of calls, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping

CALL_WORDS: Mapping[str, tuple[str, str]] = {
    "call.back": ("待回电", "to be called back"),
    "call.back_why": ("待回电：{why}", "To be called back: {why}"),
    "call.started_at": ("通话时间", "Began"),
    "call.duration": ("时长", "Length"),
    "call.caller": ("来电号码", "Caller"),
    "call.agent": ("坐席", "Agent"),
    "call.centre": ("呼叫中心", "Call centre"),
    "call.id": ("通话编号", "Call id"),
    "call.recording": ("录音", "Recording"),
    "call.listen": ("打开录音链接（{host}）", "Open the recording ({host})"),
    "call.turns": ("通话逐句", "The conversation"),
    "call.role.customer": ("顾客", "Customer"),
    "call.role.agent": ("客服", "Agent"),
    "call.role.unknown": ("未知", "Unknown"),
    "call.roles.label": ("角色由转写文件标明", "The file says who is who"),
    "call.roles.words": ("角色由话语判断，把握 {sure}", "Who is who was told from the words: {sure} sure"),
    "call.roles.alone": ("只有一个声音，把握 {sure}", "One voice only: {sure} sure"),
    "call.roles.nothing": ("分不清谁是顾客，全部按顾客的话处理", "Nobody can tell who is who; all of it was read as the customer's"),
    "call.roles.low": ("把握不高，请对照录音", "not very sure: compare the recording"),
    "call.cue": ("客服用语", "conduct"),
    "call.conduct": ("客服用语（供核实，不决定类别）", "How the agent spoke (for you to check; decides no class)"),
    "call.joined": ("{why}（原编号 {number}）", "{why} (first numbered {number})"),
    "call.others": ("同一号码的其他投诉", "Other complaints of this number"),
    "call.others_hint": ("姓名、楼盘、房号缺失时会参考这些投诉。", "A name, estate or unit that was not said is filled in from these."),
}
