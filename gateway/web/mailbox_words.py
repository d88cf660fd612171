"""The words of the mailboxes page, in Chinese and English; the rest is in `console_words`."""

# A row of the table is one line, however long.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Mapping

MAILBOX_WORDS: Mapping[str, tuple[str, str]] = {
    "nav.mailboxes": ("邮箱", "Mailboxes"),
    "mailboxes.title": ("邮箱与搁置", "Mailboxes and quarantine"),
    "mailboxes.none": (
        "设置中没有邮箱。在 jiesu.toml 中写 [[mailbox]] 即可收取 QQ、163、企业微信、Outlook 等邮箱（docs/email.md）。",
        "The settings name no mailbox. Write [[mailbox]] into jiesu.toml to look into QQ, 163, WeCom, Outlook and other mailboxes (docs/email.md).",
    ),
    "mailboxes.folder": ("文件夹 {folder}", "folder {folder}"),
    "mailboxes.state.up": ("正常", "up"),
    "mailboxes.state.new": ("还没看过", "not looked into yet"),
    "mailboxes.state.unwell": ("暂时失败", "lost for now"),
    "mailboxes.state.failing": ("一直失败", "failing"),
    "mailboxes.last_success": ("上次成功", "Last success"),
    "mailboxes.last_mail": ("上次来信", "Last mail"),
    "mailboxes.never": ("从未", "never"),
    "mailboxes.failures": ("连续失败 {n} 次，始于", "{n} failures in a row, since"),
    "mailboxes.last_error": ("上次出错", "Last error"),
    "mailboxes.counts": (
        "新受理 {taken} 封，重复 {known} 封，搁置 {aside} 封，待重试 {waiting} 封",
        "{taken} newly taken in, {known} known already, {aside} aside, {waiting} to be tried again",
    ),
    "mailboxes.left": (
        "另有 {n} 封早于首次启动时选定的范围，没有收取。",
        "{n} more are older than what was chosen at the first start and were left.",
    ),
    "mailboxes.take_left": ("也收进来", "Take them in, too"),
    "mailboxes.unmoved": ("{n} 封已受理，但没能在邮箱中移动或标记。", "{n} are safe but could not be moved or flagged in the mailbox."),
    "mailboxes.token": ("刷新令牌将于此时失效，请重新授权：", "The refresh token ends then; authorise again:"),
    "mailboxes.node": ("由 {node} 收取", "looked into by {node}"),
    "mailboxes.look": ("现在就看", "Look now"),
    "mailboxes.looking": ("已要求查看 {name}，几秒后刷新本页即可看到结果。", "Asked for a look into {name}; reload in a few seconds."),
    "mailboxes.aside": ("没能取来的邮件", "Mails that could not be fetched"),
    "mailboxes.aside_none": ("没有。", "None."),
    "mailboxes.aside_hint": (
        "邮件仍在邮箱里，这里只记着它们。排除原因后再试。",
        "They are still in the mailbox; mend the cause and try again.",
    ),
    "mailboxes.mail": ("邮件", "Mail"),
    "mailboxes.size": ("大小", "Size"),
    "mailboxes.why": ("原因", "Why"),
    "mailboxes.tries": ("次数", "Tries"),
    "mailboxes.when": ("时间", "When"),
    "mailboxes.next_try": ("下次 {at}", "next {at}"),
    "mailboxes.try_again": ("再试一次", "Try again"),
    "mailboxes.try_all": ("全部再试", "Try all again"),
    "mailboxes.trying": ("已安排再试。", "They are tried again now."),
    "mailboxes.nothing_to_try": (
        "没有可以再试的邮件；编号可能已变，内容会按新编号重新收取。",
        "Nothing to try: their numbers may have changed, and what is there is taken in under the new ones.",
    ),
    "mailboxes.uid": ("第 {uid} 号", "UID {uid}"),
    "parked.title": ("搁置的投诉", "Parked"),
    "parked.hint": (
        "原文完整保存。排除原因（例如升级程序）后从原文重新读取；下载的原文可能有害，请勿在办公电脑上直接打开。",
        "The bytes are kept whole. Once the cause is mended (a newer version, say) they are read again. What you download may be harmful; do not just open it.",
    ),
    "parked.none": ("没有搁置的投诉。", "Nothing is parked."),
    "parked.number": ("编号", "Number"),
    "parked.step": ("步骤", "Step"),
    "parked.by_mailbox": ("邮箱 {name}", "mailbox {name}"),
    "parked.raw": ("下载原文", "Download as it came"),
    "parked.replay": ("从原文重读", "Read again"),
    "parked.again": ("放回重试", "Put back"),
    "parked.replay_all": ("全部放回", "Put all back"),
    "parked.replayed": ("已放回 {n} 件。", "{n} put back."),
    "warning.mailboxes": ("邮箱 {names} 收不到邮件。", "No mail can be had from {names}."),
    "warning.tokens": ("邮箱 {names} 的授权即将失效。", "The authorisation of {names} ends soon."),
    "warning.look": ("查看原因", "See why"),
}
