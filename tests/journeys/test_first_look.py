"""A newcomer's first minutes: `jiesu up` shows real complaints going through, and the commands beside a running gateway."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import eventually
from serving import JIESU, ROOT, Serving, environment, run
from trackers import RunningTracker

from benchmarks.programs import free_port


def ports() -> dict[str, str]:
    return {
        "JIESU_SMTP_PORT": str(free_port()),
        "JIESU_WEB_PORT": str(free_port()),
        "JIESU_TRACKER_URL": f"http://127.0.0.1:{free_port()}/events",
        "JIESU_CHAT_QUIET_SECONDS": "1",
        "JIESU_DROP_SETTLE_SECONDS": "0.3",
    }


@pytest.mark.slow
def test_up_once_shows_every_sample_at_the_tracker(tmp_path: Path) -> None:
    chosen = ports()
    ended = run(tmp_path / "home", "up", "--once", **chosen)
    assert ended.returncode == 0, ended.stderr
    assert "14 件示例投诉已经由邮件、对话、电话三个入口送达跟踪系统" in ended.stderr
    numbers = [line.split()[1] for line in ended.stdout.splitlines() if "TS-" in line]
    assert len(numbers) == len(set(numbers)) == 14
    for words in ("email", "chat", "phone", "产品质量", "服务态度", "合同问题", "价格问题", "其他", "云栖里", "项目工程部"):
        assert words in ended.stdout
    assert json.loads(run(tmp_path / "home", "parked", "--json").stdout or "[]") == []
    # A second time nothing is sent again, and the same tickets are shown.
    again = run(tmp_path / "home", "up", "--once", **chosen)
    assert again.returncode == 0, again.stderr
    assert [line.split()[1] for line in again.stdout.splitlines() if "TS-" in line] == numbers


@pytest.mark.slow
def test_up_stays_until_ctrl_c_and_leaves_nothing_running(tmp_path: Path) -> None:
    chosen = ports()
    with (tmp_path / "out").open("wb") as out:
        program = subprocess.Popen(
            [*JIESU, "up"], cwd=ROOT, env=environment(tmp_path / "home", **chosen), stdout=out, stderr=out, start_new_session=True
        )
        try:
            eventually(lambda: "Ctrl-C" in (tmp_path / "out").read_text("utf-8") or program.poll() is not None, 100)
            told = (tmp_path / "out").read_text("utf-8")
            assert "Ctrl-C" in told, told
            web = f"http://127.0.0.1:{chosen['JIESU_WEB_PORT']}"
            assert f"{web}/chat" in told
            assert urllib.request.urlopen(f"{web}/healthz", timeout=5).status == 200
            program.send_signal(signal.SIGINT)
            assert program.wait(60) == 0
        finally:
            if program.poll() is None:
                program.kill()
    for name in ("JIESU_WEB_PORT", "JIESU_SMTP_PORT"):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(chosen[name]))) != 0
    assert not (tmp_path / "home" / "serve.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_up_however_it_ends(tmp_path: Path, sign: signal.Signals) -> None:
    chosen = ports()
    with (tmp_path / "out").open("wb") as out:
        program = subprocess.Popen(
            # Where the tests run under nohup a closed terminal is ignored, and would stay so.
            ["env", "--default-signal=HUP", *JIESU, "up"],
            cwd=ROOT,
            env=environment(tmp_path / "home", **chosen),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        eventually(lambda: (tmp_path / "home" / "serve.json").exists() or program.poll() is not None, 100)
        assert program.poll() is None, (tmp_path / "out").read_text("utf-8")
        program.send_signal(sign)
        assert program.wait(60) == (0 if sign is signal.SIGHUP else -signal.SIGKILL)
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
    eventually(lambda: not (tmp_path / "home" / "serve.json").exists(), 60)
    tracker = int(chosen["JIESU_TRACKER_URL"].split(":")[2].split("/")[0])
    eventually(lambda: not listens(tracker) and not listens(int(chosen["JIESU_WEB_PORT"])), 60)
    # The log is kept; the token that opens the page is not in it.
    token = (tmp_path / "home" / "secrets" / "tracker-page.token").read_text().strip()
    assert token not in (tmp_path / "home" / "log" / "tracker.log").read_text("utf-8")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_up_sends_samples_though_a_command_has_made_the_store_before(tmp_path: Path) -> None:
    assert run(tmp_path / "home", "parked").returncode == 0
    assert (tmp_path / "home" / "jiesu.db").exists()
    ended = run(tmp_path / "home", "up", "--once", **ports())
    assert ended.returncode == 0, ended.stderr
    assert "14 件示例投诉" in ended.stderr


def test_a_port_that_is_taken_is_named_with_the_remedy(tmp_path: Path) -> None:
    chosen = ports()
    with socket.create_server(("127.0.0.1", int(chosen["JIESU_SMTP_PORT"]))):
        ended = run(tmp_path, "up", "--once", **chosen)
    assert ended.returncode == 2
    assert f"smtp.port：端口 {chosen['JIESU_SMTP_PORT']} 不可用" in ended.stderr
    assert "JIESU_SMTP_PORT" in ended.stderr


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with RunningTracker() as tracker:
        home = tmp_path / "home"
        home.mkdir()
        made = Serving(home, tracker)
        yield made
        made.process.send_signal(signal.SIGINT)
        assert made.process.wait(60) == 0


@pytest.mark.slow
def test_a_mail_sent_while_the_tracker_is_down_arrives_when_it_is_back(serving: Serving) -> None:
    first = serving.mail("leak", "6栋1503卫生间漏水，三个月没人修")
    eventually(lambda: [t for t in serving.tracker.tickets() if t["number"] == first])
    serving.tracker.stop()
    second = serving.mail("price", "说好的优惠没有兑现，要求退差价")
    log = serving.home / "log"
    eventually(lambda: '"code":"away"' in log.read_text("utf-8").replace('": "', '":"'))
    serving.tracker.start()
    eventually(lambda: [t for t in serving.tracker.tickets() if t["number"] == second])
    ids = [event["webhook_id"] for event in serving.tracker.events()]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.slow
def test_what_is_parked_is_listed_and_put_back_beside_the_running_gateway(serving: Serving) -> None:
    drop = Path(serving.doors["drop"])
    (drop / "odd.json.part").write_text('{"nobody": "knows"}')
    (drop / "odd.json.part").rename(drop / "odd.json")

    def listed() -> list[dict]:
        return [json.loads(line) for line in serving.run("parked", "--json").stdout.splitlines()]

    (job,) = eventually(listed)
    assert job["kind"] == "intake"
    assert "JSON" in job["reason"]
    shown = serving.run("parked")
    assert job["number"] in shown.stdout
    assert "jiesu replay" in shown.stdout
    wrong = serving.run("replay", "99999")
    assert wrong.returncode == 1
    assert "99999" in wrong.stderr
    assert serving.run("replay").returncode == 2
    put_back = serving.run("replay", str(job["id"]))
    assert put_back.returncode == 0, put_back.stderr
    # Nothing has changed about it, so it is parked again, under the same number.
    assert eventually(listed)[0]["number"] == job["number"]


@pytest.mark.slow
def test_a_second_gateway_on_the_same_home_is_refused(serving: Serving) -> None:
    ended = serving.run("serve")
    assert ended.returncode == 1
    assert "已有一个网关在使用" in ended.stderr


@pytest.mark.slow
def test_samples_send_goes_through_the_running_doors(serving: Serving) -> None:
    ended = serving.run("samples", "send")
    assert ended.returncode == 0, ended.stderr
    numbers = {line.split()[0] for line in ended.stdout.splitlines()}
    assert len(numbers) == 14
    eventually(lambda: numbers <= {ticket["number"] for ticket in serving.tracker.tickets()}, 60)


def test_samples_send_without_a_gateway_says_what_to_do(tmp_path: Path) -> None:
    ended = run(tmp_path, "samples", "send")
    assert ended.returncode == 1
    assert "请先运行 jiesu serve" in ended.stderr


def test_the_gateway_finishes_what_is_in_hand_when_it_is_told_to_stop(tmp_path: Path) -> None:
    with RunningTracker() as tracker:
        home = tmp_path / "home"
        home.mkdir()
        serving = Serving(home, tracker)
        numbers = {serving.mail("x", f"合同到期不退款 {n}") for n in range(5)}
        begun = time.monotonic()
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(60) == 0
        assert time.monotonic() - begun < 30
        again = Serving(home, tracker)
        eventually(lambda: numbers <= {ticket["number"] for ticket in tracker.tickets()})
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(60) == 0
        log = (home / "log").read_text("utf-8")
    assert '"verb": "Stopped"' in log
