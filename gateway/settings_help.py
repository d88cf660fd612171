"""The settings as people read them: the commented file of `jiesu init` and the table of docs/configuration.md, both from one source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway import config
from gateway.sections_handoff import EndpointSection
from gateway.sections_robots import RobotSection


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


def table_keys() -> Iterator[Key]:
    """Every key of the lists of tables; those without a default must be written."""
    for section, model in config.tables().items():
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            yield Key(section, name, default, field.description or "", str(extra.get("en", "")))


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
    for key in table_keys():
        if key.section != last:
            lines += ["", "## 可以写任意多个，去掉 ## 即可。 As many as you like; take the ## away.", f"## [[{key.section}]]"]
            last = key.section
        lines += [f"## # {key.zh}", f"## # {key.en}", f"## {key.name} = {_toml('…' if key.default is None else key.default)}"]
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
    for key in table_keys():
        if key.section != last:
            lines += ["", f"### `[[{key.section}]]`", "", "可以写任意多个。 As many as you like; in the settings file only.", ""]
            lines += ["| key | default | 说明 | what it does |", "|---|---|---|---|"]
            last = key.section
        default = "must be given 必填" if key.default is None else f"`{_toml(key.default)}`"
        lines.append(f"| `{key.name}` | {default} | {key.zh} | {key.en} |")
    return "\n".join(lines).strip() + "\n"


def unknown_estates(settings: config.Settings, of_plan: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Estates that an endpoint or robot waits for and that neither the plan nor `smtp.estates` names: key and name.

    A web page or a call record may name any estate, so that such a filter can be meant; misspelt, it would hear of nothing.
    """
    known = {*of_plan, *(mapping.partition("=")[2] for mapping in settings.smtp.estates)}
    sections: Sequence[tuple[str, EndpointSection | RobotSection]] = [
        *(("endpoint", one) for one in settings.endpoint),
        *(("robot", one) for one in settings.robot),
    ]
    for kind, one in sections:
        for name in one.estates:
            if name not in known:
                yield f"{kind}.{one.name}.estates", name
