"""A gateway whose files of keys went missing takes complaints, and its console says what is off and which file it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from console_house import complain, person
from robot_house import robot
from running import RunningGateway

from models.staff import Role

TOML = """
[[endpoint]]
name = "redmine"
kind = "redmine"
url = "https://redmine.example/"
project = "tousu"

[[endpoint]]
name = "mq"
kind = "rabbitmq"
url = "amqps://jiesu@mq.example/"
"""


def test_it_serves_and_says_what_is_off(tmp_path: Path) -> None:
    (tmp_path / "jiesu.toml").write_text(TOML + robot("leads", "wecom"), "utf-8")
    made = RunningGateway(tmp_path)
    made.sender = None
    with made as gateway:
        number = complain(gateway, "价格问题")
        lead = person(gateway, "王静", Role.LEAD)
        page = lead.get("/console").text
        assert number in lead.get(f"/console/complaints/{number}").text
        assert "接收方需要处理：redmine、mq" in page or "接收方需要处理：redmine, mq" in page
        assert "机器人 leads 发不出提醒" in page
        endpoints = lead.get("/console/endpoints").text
        assert "不可用" in endpoints
        assert "endpoint-redmine.api-key" in endpoints
        assert "endpoint-mq.password" in endpoints
        robots = lead.get("/console/robots").text
        assert "robot-leads.url" in robots
        assert "there is no file" in lead.get("/console/robots?lang=en").text
        shown = subprocess.run(
            [str(Path(sys.executable).with_name("jiesu")), "endpoints", "list", "--json"],
            env={**os.environ, "JIESU_HOME": str(tmp_path), "JIESU_STORE_URL": gateway.app.settings.store_url},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "endpoint-mq.password" in shown.stdout, shown.stderr
