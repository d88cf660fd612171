"""Writes the table of settings into docs/configuration.md: `make docs`."""

from pathlib import Path

from gateway import settings_help

PAGE = Path(__file__).with_name("configuration.md")
HEAD = """# Configuration 设置

Settings come from, strongest first: environment variables, the settings file, the defaults. 设置的来源，由强到弱：环境变量、设置文件、默认值。

- `JIESU_HOME` (default `var`): the folder that holds store, drop folder, secrets, plan and settings file. Every command works on the home it is
  given. 数据目录：数据库、投放目录、密钥、预案和设置文件都在其中。
- `JIESU_CONFIG`: another settings file than `jiesu.toml` in the home. 改用别的设置文件。
- `jiesu init` writes a commented settings file and the plan file; `jiesu check-config` checks both and names what is wrong and what to do.
  `jiesu init` 写出带说明的设置文件和预案文件；`jiesu check-config` 检查两者，指出错在哪里、怎么改。
- Lists are written as JSON or with commas in a variable: `JIESU_WEB_ALLOWED_HOSTS=a.example,b.example`. 环境变量中的列表用 JSON 或逗号分隔。
- Mailboxes are tables, `[[mailbox]]`, in the settings file only. Their passwords come from a file (`password_file`) or from an environment
  variable of your own naming (`password_env`). 邮箱只能写在设置文件的 `[[mailbox]]` 中；密码放在文件或自定名称的环境变量中。

A door on a public address is refused unless it is guarded: `web` wants `tls_certificate` and `tls_key`, or `trusted_proxies`; `smtp` wants a
certificate for STARTTLS, or `trusted_relays`. 对外开放的入口必须有防护，否则拒绝启动。

The table is written by `make docs` from the same source that reads the settings. 下表由 `make docs` 从读取设置的同一处代码生成。

## Settings 全部设置

"""
TAIL = """
## The plan 预案

`plan.toml` in the home (or the file that `plan.file` names; else the shipped one) holds departments, handling steps, due times and escalation per
class and risk. It is checked whole at the start. After any change it needs a new `version`: every assignment records the version under which it
was made, and another text under an old version is refused. 预案文件写明部门、处理步骤、时限和升级对象；启动时整体检查；修改后必须换新的 `version`。

| key | 说明 | what it holds |
|---|---|---|
| `version` | 版本号 | the plan's version |
| `estates` | 已知楼盘名 | estates known by name, found first in texts |
| `[departments.CODE]` `name` `name_en` `head` | 部门 | a department |
| `[classes.CLASS]` `department` `steps` `reply_hours` `resolve_hours` `escalate_to` | 各类投诉的处理 | who handles a class, how, and by when; hours count from the receipt |
| `[review]` | 拿不准的投诉 | the same for what a person must look at first |
| `[closing]` `at_once` | 可以不写；列出 `resolved`、`rejected` 时，跟踪系统一报告就办结，否则等顾客评价 | may be left out; `resolved` and `rejected` named here close a complaint as soon as the tracking system says so, else it waits for the customer's word |
| `[risks.RISK]` `priority` `reply_hours` `escalate_to` | 风险的影响 | what a risk raises the priority to, the latest reply, who else must know |
"""


def page() -> str:
    """The whole page as it should be."""
    return HEAD + settings_help.reference() + TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
