"""The versions of the plan that were in force here (预案 八)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from gateway.store.engine import Store
from models.errors import BadSetting
from models.tables import plans


def put_in_force(store: Store, conn: Connection, version: str, sha256: str, body: str, at: datetime) -> None:
    """Keeps the plan under its version. Refuses another text under a version that was in force already."""
    conn.execute(store.insert(plans).values(version=version, sha256=sha256, body=body, in_force_since=at).on_conflict_do_nothing())
    kept = conn.execute(select(plans.c.sha256).where(plans.c.version == version)).scalar_one()
    if kept != sha256:
        raise BadSetting(
            "plan.version",
            f"预案内容已修改，但版本号仍是 {version}；请在预案文件中写入新的版本号",
            f"the plan was changed but still calls itself version {version}; give it a new version in the plan file",
        )
