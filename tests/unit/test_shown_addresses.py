"""Addresses as they may be shown: without what opens a door."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import cli, config
from gateway.endpoints import of_settings
from models.endpoint import Endpoint


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://bi.example/in", "https://bi.example/in"),
        ("https://bi.example/con?token=SECRETTOKEN", "https://bi.example/con?token=…"),
        ("https://bi.example/con?a=1&token=SECRET=TOKEN&b=", "https://bi.example/con?a=…&token=…&b=…"),
        ("https://bi.example/con?SECRETTOKEN", "https://bi.example/con?…"),
        ("https://bi.example/con?a=1;token=SECRETTOKEN#SECRETTOKEN", "https://bi.example/con?a=…;token=…"),
        ("https://me:SECRETTOKEN@bi.example/con?token=SECRETTOKEN", "https://me:…@bi.example/con?token=…"),
        ("amqps://me:SECRETTOKEN@mq.example/v", "amqps://me:…@mq.example/v"),
        ("https://bi.example/in#SECRETTOKEN", "https://bi.example/in"),
    ],
)
def test_an_endpoints_address_is_shown_without_keys(url: str, shown: str) -> None:
    assert Endpoint("bi", url).shown_url == shown


def test_no_command_shows_a_key_of_the_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JIESU_HOME", str(tmp_path))
    monkeypatch.setenv("JIESU_TRACKER_URL", "https://t.example/in?token=SECRETTOKEN")
    monkeypatch.chdir(tmp_path)
    for command in (["check-config"], ["endpoints", "list"], ["endpoints", "list", "--json"]):
        monkeypatch.setattr("sys.argv", ["jiesu", *command])
        with pytest.raises(SystemExit):
            cli.main()
    said = capsys.readouterr()
    assert "token=…" in said.out
    assert "SECRETTOKEN" not in said.out + said.err
    # It is sent to all the same.
    assert of_settings(config.load())[0].url.endswith("token=SECRETTOKEN")
