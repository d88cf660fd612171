"""What can be wrong with a mailbox or a mail of it, in words for people: a closed list of codes, and the error that carries one."""

from __future__ import annotations

from collections.abc import Mapping

from models.errors import JiesuError

# What can be wrong with a mailbox, for people. `mailboxes check` prints them, the console shows them, the log names the code.
TROUBLES: Mapping[str, tuple[str, str]] = {
    "dns": ("找不到主机名，请检查 host", "there is no such host; see to `host`"),
    "refused": ("服务器拒绝连接，请检查 host 和 port", "the server refuses the connection; see to `host` and `port`"),
    "unreachable": ("连接不上服务器（网络或防火墙）", "the server cannot be reached (network or firewall)"),
    "timeout": ("服务器在规定时间内没有回应", "the server did not answer in time"),
    "certificate": (
        "服务器证书不可信（过期、主机名不符或签发者未知）；自建 CA 请设置 ca_file",
        "the server's certificate is not to be trusted (expired, another name, unknown issuer); for your own CA set `ca_file`",
    ),
    "tls": (
        "加密连接失败，请检查 port 与 tls 是否相配（993 用 tls，143 用 starttls）",
        "no encryption came about; port 993 wants tls, 143 starttls",
    ),
    "no_starttls": (
        "服务器不支持 STARTTLS，请改用 tls 和 993 端口",
        "the server has no STARTTLS; set `tls` to tls and `port` to 993",
    ),
    "login_refused": (
        "登录被拒绝。QQ、163、126、新浪等邮箱要用“授权码”（在网页邮箱的设置中开启 IMAP 后生成），不是登录密码",
        "the login was refused. QQ, 163, 126 and Sina want an app password (授权码, made where IMAP is switched on), not the password",
    ),
    "unsafe_login": (
        "服务器认为登录不安全（Unsafe Login）：请在网页邮箱中开启 IMAP 服务，并使用授权码",
        "the server calls the login unsafe (Unsafe Login): switch IMAP on in the web mail, and use an app password",
    ),
    "folder_missing": ("没有这个文件夹", "there is no such folder"),
    "select_refused": ("服务器不让打开文件夹", "the server does not open the folder"),
    "closed": ("服务器断开了连接", "the server closed the connection"),
    "bye": ("服务器说再见（BYE）", "the server said BYE"),
    "refused_command": ("服务器拒绝了命令", "the server refused a command"),
    "protocol": ("服务器的回答不合协议", "the server's answer breaks the protocol"),
    "too_much": ("服务器发来的数据超过了限度", "the server sent more than was agreed to"),
    "no_validity": ("服务器没有给出 UIDVALIDITY，无法保证每封只收一次", "the server gives no UIDVALIDITY, so no mail could be known again"),
    "store_unavailable": ("数据库暂时不可用，邮件留在邮箱里，稍后再收", "the store is away; the mails stay where they are for now"),
    "no_secret": ("没有密码或令牌", "there is no password or token"),
    "token_refused": (
        "授权服务器拒绝刷新令牌，请重新授权并更换 refresh_token_file",
        "the refresh token was refused; authorise again and renew `refresh_token_file`",
    ),
    "token_unreachable": ("连接不上授权服务器", "the token endpoint cannot be reached"),
    "token_answer": ("授权服务器的回答看不懂", "the token endpoint's answer makes no sense"),
    "fault": ("本程序出错，详见日志", "a fault of ours; the log says where"),
    # What can be wrong with one mail.
    "too_large": ("邮件超过 max_bytes 上限", "the mail is larger than `max_bytes`"),
    "fetch_refused": ("服务器不给这封邮件", "the server does not hand out this mail"),
    "no_body": ("服务器没有给出这封邮件的内容", "the server gives no content for this mail"),
    "not_accepted": ("这封邮件受理时本程序出错，详见日志", "a fault of ours when this mail was taken in; the log says where"),
    "broke_off": ("取这封邮件时连接中断", "the connection broke while this mail was fetched"),
    "before_first_start": ("早于首次启动时选定的范围", "older than what was chosen at the first start"),
}

# What concerns one mail and not the mailbox.
MAIL_TROUBLES = frozenset({"fetch_refused", "no_body", "too_large"})


class Trouble(JiesuError):
    """A mailbox, or one mail of it, cannot be had now. `detail` is what the server said, cleaned; it may name an address."""

    def __init__(self, code: str, detail: str = "") -> None:
        zh, en = TROUBLES[code]
        self.detail = _clean(detail)
        super().__init__(code, zh + (f"：{self.detail}" if self.detail else ""), en + (f": {self.detail}" if self.detail else ""))


def _clean(text: str) -> str:
    # Two languages stand side by side with this mark between them.
    return "".join(c if c.isprintable() else " " for c in text)[:300].strip().replace(" / ", "/")
