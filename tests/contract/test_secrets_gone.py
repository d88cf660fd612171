"""A robot or an endpoint whose own key cannot be used is off and says so; what comes in is taken and everything for it waits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import migrated
import pytest
from factories import FakeClock
from fakes import FakeChampion
from handoff_house import House
from robot_house import RobotHouse, robot
from robot_makers import Maker
from scripted_tracker import KEY, Scripted
from tracker_house import NAME, TicketHouse
from typer.testing import CliRunner

from gateway import bootstrap, config, robots, senders
from gateway.cli import cli
from models.errors import BadSetting, Refused

DANGER = "危险 楼盘=云栖里 房号=6栋1503 卫生间漏水"
RABBIT = (
    '[[endpoint]]\nname = "mq"\nkind = "rabbitmq"\nurl = "amqp://jiesu@127.0.0.1:9/"\ntypes = ["*"]\nallow_private_hosts = ["127.0.0.1"]\n'
)
HOOK = '[[endpoint]]\nname = "desk"\nurl = "http://127.0.0.1:9/"\nallow_private_hosts = ["127.0.0.1"]\n'


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def maker(clock: FakeClock) -> Iterator[Maker]:
    with Maker("wecom", now=clock.now) as made:
        yield made


@pytest.mark.parametrize("fault", ["missing", "open to all", "no address"])
def test_a_robot_without_its_address_is_off_and_stops_nobody(tmp_path: Path, clock: FakeClock, maker: Maker, fault: str) -> None:
    home = tmp_path / "home"
    (home / "secrets").mkdir(parents=True)
    file = home / "secrets" / "robot-leads.url"
    if fault != "missing":
        file.write_text(maker.url if fault == "open to all" else "see the wiki")
        file.chmod(0o644 if fault == "open to all" else 0o600)
    house = RobotHouse(home, robot("leads", "wecom") + robot("others", "wecom", maker.url), clock)
    number = house.complain("漏水", DANGER)
    assert number
    # Those that are well tell all the same; what this one is to tell waits for it.
    assert len(maker.shown) == 1
    state = house.state("leads")
    assert (state.waiting, state.failing, state.as_json()["off"] is not None) == (1, True, True)
    assert house.app.alarms.robots.failing() == ["leads"]
    (line,) = house.log("RobotOff")
    assert line["robot"] == "leads"
    assert "see the wiki" not in house.stream.getvalue()
    with pytest.raises(Refused):
        house.app.alarms.robots.test("leads", by="王芳")
    with pytest.raises(BadSetting):
        robots.of_settings(house.settings, list(house.app.plan.departments))
    # Put right, it tells.
    file.write_text(maker.url)
    file.chmod(0o600)
    house.app.close()
    house.build()
    house.minute()
    house.app.close()
    assert len(maker.shown) == 2


def test_an_endpoint_without_its_key_is_off_and_everything_for_it_waits(tmp_path: Path, maker: Maker) -> None:
    with Scripted("redmine") as tracker:
        house = TicketHouse(
            tmp_path, f'kind = "redmine"\nurl = "{tracker.url}"\nproject = "tousu"\n' + robot("leads", "wecom", maker.url), KEY
        )
        house.app.close()
        key = tmp_path / f"secrets/endpoint-{NAME}.api-key"
        key.rename(tmp_path / "elsewhere")
        house.build()
        number = house.complain()
        assert number
        assert "EndpointOff" in house.stream.getvalue()
        assert str(key) in house.stream.getvalue()
        assert house.app.redelivery.troubles() == [NAME]
        (state,) = house.app.redelivery.states()
        assert state.waiting.waiting == 1
        # It was not tried, so no other node suffers by it; and robots tell.
        assert state.recent.tries == 0
        assert state.trouble is None
        for _ in range(3):
            house.app.alarms.watch.look()
        ((notice, _),) = house.app.alarms.robots.newest(5)
        assert (notice.kind.value, notice.subject, notice.facts["code"]) == ("endpoint_failing", NAME, "bad_setting")
        assert state.off is not None
        assert house.app.redelivery.test(NAME, by="王芳").code.value == "client_error"
        with pytest.raises(BadSetting):
            senders.check(house.settings, list(house.app.plan.departments))
        (tmp_path / "elsewhere").rename(key)
        house.app.close()
        house.build()
        house.clock.move(seconds=400)
        house.app.worker.drain()
        assert house.ticket(number).remote_id
        # A node whose own file is sound does not say that it is well again, and another that it is not, in turns.
        house.app.alarms.watch.look()
        assert len(house.app.alarms.robots.newest(5)) == 1
        assert house.app.redelivery.troubles() == []
        house.app.close()


@pytest.mark.parametrize(("toml", "name", "file"), [(RABBIT, "mq", "password"), (HOOK, "desk", "secret")])
def test_so_is_one_whose_password_or_secret_cannot_be_read(tmp_path: Path, toml: str, name: str, file: str) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (tmp_path / "jiesu.toml").write_text(toml, "utf-8")
    if file == "secret":
        (secrets / f"endpoint-{name}.secret").write_text("whsec_short")
        (secrets / f"endpoint-{name}.secret").chmod(0o600)
    settings = config.load({"JIESU_HOME": str(tmp_path), "JIESU_TRACKER_URL": ""})
    app = bootstrap.build(migrated.prepare(settings), champion=FakeChampion())
    try:
        assert app.redelivery.troubles() == [name]
        # Nobody can speak for it either.
        assert all(one.keyring.secrets().new != "whsec_short" for one in app.endpoints.served.values())
    finally:
        app.close()
    told = CliRunner().invoke(cli, ["check-config"], env={"JIESU_HOME": str(tmp_path), "JIESU_TRACKER_URL": ""})
    assert isinstance(told.exception, BadSetting)
    assert told.exception.key.startswith(f"endpoint.{name}.")


def test_a_secret_that_breaks_while_it_serves_silences_no_other(tmp_path: Path) -> None:
    house = House(tmp_path, '[[endpoint]]\nname = "desk"\nurl = "http://x.example/desk"\n')
    number = house.complain()
    assert house.told("desk")
    file = tmp_path / "secrets" / "endpoint-desk.secret"
    good, stamp = file.read_text(), file.stat().st_mtime_ns
    file.write_text("scribble\n")
    os.utime(file, ns=(stamp + 10**9, stamp + 10**9))
    assert set(house.app.endpoints.signing()) == {"tracker"}
    states = {one.endpoint.name: one.off for one in house.app.redelivery.states()}
    assert states["tracker"] is None
    assert states["desk"] is not None
    assert "whsec_" in states["desk"][1]
    house.app.metrics.text()
    second = house.complain()
    assert [one["data"]["number"] for one in house.told("tracker")][-1] == second != number
    # Once it is mended what waited goes out.
    file.write_text(good)
    os.utime(file, ns=(stamp + 2 * 10**9, stamp + 2 * 10**9))
    house.clock.move(hours=1)
    house.app.worker.drain()
    assert house.told("desk")[-1]["data"]["number"] == second
    house.app.close()
