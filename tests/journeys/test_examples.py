"""`jiesu examples` and `jiesu drift` as an operator runs them, mistakes included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from serving import run

HISTORY = """投诉内容,分类,渠道,客户姓名
我叫林树，卫生间漏水,产品质量,邮件,林树
首付款多收了两万,价格问题,电话,
,合同问题,,
合同少了一页,合约,,
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home into which history was taken before any complaint came."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "h.csv").write_text(HISTORY, "utf-8")
    done = run(folder / "home", "examples", "import", str(folder / "h.csv"), "--by", "王静")
    assert done.returncode == 0, done.stderr
    assert "新增 2，已有 0，改判 0，有误 2" in done.stdout
    return folder


def test_bad_rows_are_told_and_kept_aside(home: Path) -> None:
    done = run(home / "home", "examples", "import", str(home / "h.csv"))
    assert "h.csv:4：text：缺少正文" in done.stderr
    assert "h.csv:5: primary: '合约' will not do" in done.stderr
    assert "0 new, 2 known already" in done.stdout
    kept = home / "h.csv.bad.csv"
    assert kept.stat().st_mode & 0o077 == 0
    assert "合同少了一页" in kept.read_text("utf-8-sig")


def test_a_dry_run_shows_the_first_rows_masked_and_writes_nothing(home: Path) -> None:
    (home / "new.csv").write_text("text,primary\n我叫王小明，电梯停了,产品质量\n,x\n", "utf-8")
    done = run(home / "home", "examples", "import", str(home / "new.csv"), "--dry-run")
    assert "1 would be new" in done.stdout
    assert "我叫**，电梯停了" in done.stdout
    assert "未写入" in done.stdout
    assert not (home / "new.csv.bad.csv").exists()
    told = json.loads(run(home / "home", "examples", "import", str(home / "new.csv"), "--dry-run", "--json").stdout)
    assert (told["new"], told["known"], [one["row"] for one in told["bad"]], told["bad_file"]) == (1, 0, [3], None)
    assert "共 2 条" in run(home / "home", "examples", "list").stdout


def test_listed_shown_and_exported(home: Path) -> None:
    listed = [json.loads(line) for line in run(home / "home", "examples", "list", "--json").stdout.splitlines()]
    assert [(one["primary"], one["by"]) for one in listed] == [("product_quality", "王静"), ("price", "王静")]
    assert [one["text"] for one in listed] == ["我叫**，卫生间漏水", "首付款多收了两万"]
    assert json.loads(run(home / "home", "examples", "show", str(listed[0]["id"])).stdout) == listed[0]
    assert "首付款" not in run(home / "home", "examples", "list", "--class", "产品质量").stdout
    for name in ("out.csv", "out.xlsx", "out.jsonl"):
        assert run(home / "home", "examples", "export", "-o", str(home / name)).returncode == 0
        again = run(home / "home", "examples", "import", str(home / name), "--dry-run")
        assert "0 would be new, 2 known already, 0 with a changed label, 0 bad" in again.stdout
    tasks = json.loads(run(home / "home", "examples", "export", "--format", "label-studio").stdout)
    assert [task["annotations"][0]["result"][0]["value"]["choices"] for task in tasks] == [["产品质量"], ["价格问题"]]
    assert run(home / "home", "examples", "export").stdout.startswith("\ufefftitle,text,primary")


def test_labels_are_looked_at_and_decided(home: Path) -> None:
    assert "没有可疑的标注" in run(home / "home", "examples", "suspicious").stdout
    assert "没有多人判定" in run(home / "home", "examples", "agreement").stdout
    done = run(home / "home", "examples", "settle", "2", "relabel", "合同问题", "--by", "李雷")
    assert done.returncode == 0
    assert json.loads(run(home / "home", "examples", "show", "2").stdout)["primary"] == "contract"
    run(home / "home", "examples", "settle", "2", "relabel", "price", "--by", "王静")


def test_what_is_forgotten_and_what_drifts(home: Path) -> None:
    assert "0 removed" in run(home / "home", "examples", "forget", "TS-20200101-0001").stdout
    told = run(home / "home", "drift")
    assert "件数还不够" in told.stdout
    assert json.loads(run(home / "home", "drift", "--json").stdout)["warnings"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("import", "none.csv"), 2, "none.csv"),
        (("import", "."), 2, "directory"),
        (("import", "{home}/h.csv", "--columns", "text=正文"), 2, "no such column"),
        (("import", "{home}/h.csv", "--columns", "内容"), 2, "text=COLUMN"),
        (("import", "{home}/allbad.csv"), 1, "not one row"),
        (("export", "--format", "pdf"), 2, "label-studio"),
        (("export", "-o", "/nowhere/x.csv"), 2, "/nowhere/x.csv"),
        (("export", "-o", "x.docx"), 2, "docx"),
        (("show", "99"), 1, "99"),
        (("show", "9" * 30), 1, "no example"),
        (("settle", "99", "keep"), 1, "99"),
        (("settle", "9" * 30, "keep"), 1, "no example"),
        (("settle", "1", "drop"), 1, "relabel"),
        (("settle", "1", "relabel"), 1, "primary"),
        (("settle", "1", "relabel", "合约"), 2, "CLASS"),
        (("list", "--class", "合约"), 2, "--class"),
    ],
)
def test_mistakes_are_answered_by_what_to_do(home: Path, arguments: tuple[str, ...], code: int, named: str) -> None:
    (home / "allbad.csv").write_text("text,primary\n漏水,\n", "utf-8")
    done = run(home / "home", "examples", *(one.format(home=home) for one in arguments))
    assert done.returncode == code, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_store_there_is_nothing_to_list(tmp_path: Path) -> None:
    for command in ("list", "export", "suspicious"):
        done = run(tmp_path / "none", "examples", command)
        assert done.returncode == 1
        assert "jiesu serve" in done.stderr
    assert not (tmp_path / "none").exists()
