"""Bad configurations, each failing with its own sentence; and the settings as they are meant to be."""

from __future__ import annotations

import os
import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway import cli, config, home, settings_help, up
from models.errors import BadSetting, Refused

CASES = sorted(Path(__file__).parents[1].joinpath("configs").glob("c-*"))


def check_config(monkeypatch: pytest.MonkeyPatch, folder: Path, environment: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("JIESU_")]:
        monkeypatch.delenv(name)
    for name, value in {"JIESU_HOME": str(folder), **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["jiesu", "check-config"])
    cli.main()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_configuration_fails_with_its_own_sentence(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "home"
    shutil.copytree(case, folder)
    (folder / "cert.pem").write_text("")
    lines = (case / "env").read_text().split() if (case / "env").exists() else []
    with pytest.raises(SystemExit) as ended:
        check_config(monkeypatch, folder, dict(line.split("=", 1) for line in lines))
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert (case / "expected-error").read_text("utf-8").strip() in said
    # Chinese first, English second, both complete.
    assert said.startswith("错误：")
    assert "\nerror: " in said


def test_there_are_cases() -> None:
    assert len(CASES) > 25


def test_a_filter_for_an_estate_that_nobody_names_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "jiesu.toml").write_text(
        """
        [smtp]
        estates = ["yujing@jiesu.example=御景湾"]
        [[endpoint]]
        name = "bi"
        url = "https://bi.example/in"
        estates = ["御景湾", "湖畔新园"]
        """,
        "utf-8",
    )
    with pytest.raises(SystemExit) as ended:
        check_config(monkeypatch, tmp_path, {})
    # It may be meant: a web page can name any.
    assert ended.value.code == 0
    said = capsys.readouterr().err
    assert "注意：endpoint.bi.estates：预案的 estates 中没有 “湖畔新园”" in said
    assert "note: endpoint.bi.estates: the plan's estates have no '湖畔新园'" in said
    assert "御景湾" not in said


def test_defaults_are_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        check_config(monkeypatch, tmp_path, {"JIESU_SMTP_PORT": "2626"})
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "设置无误" in said
    assert "smtp.port = 2626" in said


def test_the_environment_is_stronger_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "jiesu.toml").write_text('[smtp]\nport = 1\nmax_bytes = 7\n[chat]\nallowed_origins = ["https://a.example"]\n')
    settings = config.load({"JIESU_HOME": str(tmp_path), "JIESU_SMTP_PORT": "2", "JIESU_WEB_ALLOWED_HOSTS": "a.example, b.example"})
    assert (settings.smtp.port, settings.smtp.max_bytes) == (2, 7)
    assert settings.chat.allowed_origins == ["https://a.example"]
    assert settings.web.allowed_hosts == ["a.example", "b.example"]


def test_each_home_has_its_own_of_everything(tmp_path: Path) -> None:
    one, two = (config.load({"JIESU_HOME": str(tmp_path / name)}) for name in ("one", "two"))
    for each in (one, two):
        assert str(each.home) in each.store_url
        assert each.drop_folder.is_relative_to(each.home)
        assert each.secrets_folder.is_relative_to(each.home)


def test_init_writes_files_that_are_in_order_and_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIESU_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["jiesu", "init"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert config.load({"JIESU_HOME": str(tmp_path)}) == config.Settings(home=tmp_path)
    # Every commented key, once its mark is taken away, is the default that it says it is.
    lines = [line.removeprefix("# ") if " = " in line else line for line in settings_help.commented_file().splitlines()]
    assert config.Settings(home=tmp_path, **tomllib.loads("\n".join(lines))) == config.Settings(home=tmp_path)
    (tmp_path / "jiesu.toml").write_text("mine")
    with pytest.raises(SystemExit):
        cli.main()
    assert (tmp_path / "jiesu.toml").read_text() == "mine"


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    home.prepare(tmp_path / "home")
    folder = tmp_path / "home" / "secrets"
    first = home.secret(folder, "x.token", home.token)
    assert home.secret(folder, "x.token", home.token) == first
    assert (folder / "x.token").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0
    assert home.webhook_secret().startswith("whsec_")


def test_a_password_is_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        check_config(monkeypatch, tmp_path, {"JIESU_STORE_URL": "postgresql://jiesu:geheim@db.example/x"})
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "geheim" not in said
    assert "store.url = postgresql://jiesu:…@db.example/x" in said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:a@b/c#d@db/x", "postgresql://u:…@db/x"),
        ("postgresql://db/x?password=geheim&sslmode=require", "postgresql://db/x?password=…&sslmode=require"),
        ("sqlite:////srv/a@b/jiesu.db", "sqlite:////srv/a@b/jiesu.db"),
    ],
)
def test_of_an_address_only_the_password_is_hidden(url: str, shown: str) -> None:
    assert cli._without_password(url) == shown


def test_paths_of_the_settings_begin_at_the_home(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("")
    (tmp_path / "jiesu.toml").write_text('[web]\ntls_certificate = "c.pem"\ntls_key = "c.pem"\n[drop]\nfolder = "calls"\n')
    settings = config.load({"JIESU_HOME": str(tmp_path)})
    assert settings.web.tls_certificate == settings.web.tls_key == str(tmp_path / "c.pem")
    assert settings.drop_folder == tmp_path / "calls"
    assert config.home({"JIESU_HOME": str(tmp_path)}) == settings.home


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"smtp": null, "web": "http://x"}', '{"smtp": [], "web": "x", "drop": 1}'])
def test_addresses_that_lack_something_are_nobodys(tmp_path: Path, told: str) -> None:
    (tmp_path / "serve.json").write_text(told)
    with pytest.raises(Refused, match="no gateway is serving"):
        up.doors_of(tmp_path)


def test_what_an_orchestrator_sets_is_not_ours(tmp_path: Path) -> None:
    told = {"JIESU_PORT": "tcp://10.0.0.1:80", "JIESU_PORT_8000_TCP_ADDR": "10.0.0.1", "JIESU_SERVICE_HOST": "10.0.0.1"}
    assert config.load({"JIESU_HOME": str(tmp_path), **told}) == config.Settings(home=tmp_path)


def test_a_home_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    home.prepare(tmp_path / "home")
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("content", "mode", "said"), [("", 0o600, "empty"), ("x\n", 0o644, "chmod 600")])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, content: str, mode: int, said: str) -> None:
    (tmp_path / "x.token").write_text(content)
    (tmp_path / "x.token").chmod(mode)
    with pytest.raises(BadSetting, match=said):
        home.secret(tmp_path, "x.token", home.token)


def test_processes_that_make_a_secret_at_once_have_the_same(tmp_path: Path) -> None:
    for n in range(20):
        with ThreadPoolExecutor(8) as threads:
            made = set(threads.map(lambda _: home.secret(tmp_path, f"{n}.token", home.token), range(8)))  # noqa: B023
        assert len(made) == 1
    assert not list(tmp_path.glob(".*"))


def test_a_home_is_served_by_one_gateway_only(tmp_path: Path) -> None:
    home.prepare(tmp_path)
    with home.HomeLock(tmp_path), pytest.raises(Refused, match="already serving"), home.HomeLock(tmp_path):
        pass
    with home.HomeLock(tmp_path):
        pass


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="JIESU_HOME"):
        home.prepare(tmp_path / "file" / "home")


def test_a_mailbox_has_its_password_from_where_the_settings_say(tmp_path: Path) -> None:
    table = '[[mailbox]]\nname = "{0}"\nhost = "imap.example.com"\nuser = "a"\n{1}\n'
    ways = {"own": 'password = "1"', "named": 'password_file = "secrets/x"', "usual": "", "variable": 'password_env = "TOUSU"'}
    (tmp_path / "jiesu.toml").write_text("".join(table.format(*way) for way in ways.items()))
    (tmp_path / "secrets").mkdir()
    for name, value in (("x", "2\n"), ("mailbox-usual.password", "3")):
        (tmp_path / "secrets" / name).write_text(value)
        (tmp_path / "secrets" / name).chmod(0o600)
    settings = config.load({"JIESU_HOME": str(tmp_path)})
    found = [config.mailbox_secret(settings, box, "password", {"TOUSU": "4"}) for box in settings.mailbox]
    assert found == ["1", "2", "3", "4"]
    assert [box.backfill for box in settings.mailbox] == ["new"] * 4
    (tmp_path / "secrets" / "x").chmod(0o644)
    with pytest.raises(BadSetting, match="chmod 600"):
        config.mailbox_secret(settings, settings.mailbox[1], "password", {})


def test_the_settings_of_a_mailbox_in_the_commented_file_are_its_defaults(tmp_path: Path) -> None:
    lines = settings_help.commented_file().partition("## [[mailbox]]\n")[2].splitlines()
    table = tomllib.loads("[[mailbox]]\n" + "\n".join(line.removeprefix("## ") for line in lines))["mailbox"][0]
    given = {"name": "a", "host": "b", "user": "c"}
    assert all(table.pop(key) == "…" for key in given)
    whole = config.Settings(home=tmp_path, mailbox=[given | table])
    assert whole == config.Settings(home=tmp_path, mailbox=[given])


@pytest.mark.parametrize("host", ["10.0.0.5", "::1", "localhost", "Tracker.corp.example", "a_b.example.", "跟踪.公司"])
def test_a_bare_host_may_be_allowed(tmp_path: Path, host: str) -> None:
    (tmp_path / "jiesu.toml").write_text(f'[tracker]\nallow_private_hosts = ["{host}"]\n', "utf-8")
    assert config.load({"JIESU_HOME": str(tmp_path)}).tracker.allow_private_hosts == [host]


@pytest.mark.parametrize("host", ["", "10.0.0.300", "10.0.0", "*.example", "[::1]", "a.example:80", "a.example/", "a..example", "a b"])
def test_what_no_host_can_be_is_not_allowed(tmp_path: Path, host: str) -> None:
    (tmp_path / "jiesu.toml").write_text(f'[tracker]\nallow_private_hosts = ["{host}"]\n', "utf-8")
    with pytest.raises(BadSetting, match="bare host name"):
        config.load({"JIESU_HOME": str(tmp_path)})
