"""The settings as people read them: the commented file of `jiesu init` and the table of docs/configuration.md, both from one source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway import config, sections_mailbox


@dataclass(frozen=True, slots=True)
class Key:
    """One setting as it is documented."""

    section: str
    name: str
    default: Any
    zh: str
    en: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"JIESU_{self.section}_{self.name}".upper()


def every_key() -> Iterator[Key]:
    """Every setting, in the order of the settings file."""
    for section, model in config.sections().items():
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            yield Key(section, name, field.get_default(call_default_factory=True), field.description or "", str(extra.get("en", "")))


def mailbox_keys() -> Iterator[Key]:
    """Every setting of a mailbox; `default` is None where it must be given. They have no environment variables."""
    for name, field in sections_mailbox.fields().items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        yield Key("mailbox", name, default, field.description or "", str(extra.get("en", "")))


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def commented_file() -> str:
    """A settings file in which every key stands with its help and its default, commented out."""
    lines = [
        "# jiesu 设置文件。去掉行首的 # 即可修改；未写的用默认值。改后请运行 jiesu check-config。",
        "# jiesu settings. Take the # away to change a value; run jiesu check-config afterwards.",
    ]
    last = ""
    for key in every_key():
        if key.section != last:
            lines += ["", f"[{key.section}]"]
            last = key.section
        lines += [f"# {key.zh}", f"# {key.en}", f"# {key.name} = {_toml(key.default)}"]
    lines += ["", "# 每个邮箱一节，可有多节；去掉所需各行行首的 ##。 One table for each mailbox; take the ## away.", "## [[mailbox]]"]
    for key in mailbox_keys():
        lines += [f"# {key.zh}", f"# {key.en}", f"## {key.name} = {_toml('…' if key.default is None else key.default)}"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The table of `docs/configuration.md`."""
    lines: list[str] = []
    last = ""
    for key in every_key():
        if key.section != last:
            lines += ["", f"### `[{key.section}]`", "", "| key | default | environment | 说明 | what it does |", "|---|---|---|---|---|"]
            last = key.section
        lines.append(f"| `{key.name}` | `{_toml(key.default)}` | `{key.variable}` | {key.zh} | {key.en} |")
    lines += [
        "",
        "### `[[mailbox]]`",
        "",
        "One table for each mailbox, in the settings file only; worked examples: [Mailboxes](email.md#mailboxes-imap).",
        "每个邮箱一节，只能写在设置文件中。",
        "",
        "| key | default | 说明 | what it does |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{key.name}` | {'must be given 必填' if key.default is None else f'`{_toml(key.default)}`'} | {key.zh} | {key.en} |"
        for key in mailbox_keys()
    ]
    return "\n".join(lines).strip() + "\n"
