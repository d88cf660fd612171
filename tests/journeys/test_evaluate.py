"""`jiesu evaluate` and `jiesu unknown-words`: what is asked about texts of other hands, and what is said to mistakes."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fakes import FakeClassifier

from classifiers.trained_model import shipped_path
from gateway import cli, measuring, questions

ROWS = (
    {"text": "客服：您要退房吗？\n客户：不是，外墙漏水，派人来修！", "primary": "产品质量", "channel": "phone", "risk": []},
    {"text": "售楼员态度恶劣，骂人，要他道歉", "primary": "service_attitude", "title": "服务太差", "secondary": ["price"]},
    {"text": "承诺优惠五万没有兑现，要求退还差价", "primary": "price", "customer": {"name": "林树"}},
)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process on a fresh home, in a folder of its own; gives exit code, output and messages."""
    monkeypatch.setenv("JIESU_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jiesu", *arguments])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    """The name of a labelled file."""
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    return "some.jsonl"


def test_a_labelled_file_is_measured_in_both_languages(ask, labelled: str) -> None:
    code, out, err = ask("evaluate", labelled)
    assert code == 0
    assert err == ""
    for words in ("准确率 accuracy", "宏平均F1 macro-F1", "校准误差", "标注＼分类", "电话 phone", "风险F1", "次要类别F1", "姓名 name"):
        assert words in out
    assert "accuracy" not in ask("evaluate", labelled, "--lang", "zh")[1]
    assert "准确率" not in ask("evaluate", labelled, "--lang", "en")[1]


def test_json_is_for_machines_and_the_picture_for_people(ask, labelled: str, tmp_path: Path) -> None:
    code, out, err = ask("evaluate", labelled, "--json", "--picture", "some.svg")
    told = json.loads(out)
    assert code == 0
    assert told["texts"] == 3
    assert told["accuracy"] == 1.0
    assert (told["secondary_texts"], told["risk_texts"]) == (1, 1)
    assert set(told["channels"]) == {"phone", "unknown"}
    assert "图已写到 some.svg  the picture is in some.svg" in err
    ElementTree.fromstring((tmp_path / "some.svg").read_text("utf-8"))  # noqa: S314
    assert {path.name for path in tmp_path.iterdir()} == {"some.jsonl", "some.svg"}


def test_csv_from_a_pipe_and_a_file_are_measured_together(ask, labelled: str) -> None:
    table = "正文,类别\r\n卫生间天花板漏水三个月没人修,产品质量\r\n".encode("gb18030")
    told = json.loads(ask("evaluate", labelled, "-", labelled, "--json", stdin=table)[1])
    # A file that is named twice counts once.
    assert {name: made["texts"] for name, made in told["files"].items()} == {"some.jsonl": 3, "-": 1}
    assert told["accuracy"] == 1.0


def test_another_model_may_be_measured(ask, labelled: str) -> None:
    code, out, _ = ask("evaluate", labelled, "--model", str(shipped_path()), "--json")
    assert code == 0
    assert json.loads(out)["trained_model"] == json.loads(ask("evaluate", labelled, "--json")[1])["trained_model"]


def test_nothing_is_learned_and_nothing_is_kept(ask, labelled: str, tmp_path: Path) -> None:
    ask("evaluate", labelled)
    assert not (tmp_path / "home").exists()


def test_a_file_of_somebody_else_is_told_in_our_words(ask, labelled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library would look first, and speak English alone.
    monkeypatch.setattr(os, "access", lambda path, mode, **_: False)
    assert ask("evaluate", labelled)[0] == ask("unknown-words", labelled)[0] == 0


def test_texts_are_classified_in_batches(ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeClassifier()
    monkeypatch.setattr(questions, "_classifier", lambda: fake)
    (tmp_path / "many.csv").write_text("text,primary\n" + "产品质量,product_quality\n" * 600, "utf-8")
    assert ask("evaluate", "many.csv")[0] == 0
    assert fake.batches == [256, 256, 88]


def test_a_column_that_nobody_asked_for_is_told(ask, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,primary,chanel\n漏水,price,phone\n", "utf-8")
    _, _, err = ask("evaluate", "a.csv")
    assert "未使用的列：chanel  passed over: chanel" in err


@pytest.mark.parametrize(
    ("arguments", "zh", "en"),
    [
        (("none.jsonl",), "none.jsonl：读不了", "none.jsonl: cannot be read"),
        (("folder",), "folder：读不了（Is a directory）", "folder: cannot be read (Is a directory)"),
        (("bad.csv",), "bad.csv:2：primary：“质量”不行，应为 产品质量", "bad.csv:2: primary: '质量' will not do: one of product_quality"),
        (("empty.csv",), "empty.csv：文件是空的", "empty.csv: the file is empty"),
        (("some.jsonl", "--lang", "fr"), "--lang：“fr” 不行", "--lang: 'fr' will not do"),
        (("some.jsonl", "--picture", "a.png"), "图片只写 SVG", "pictures are SVG"),
        (("some.jsonl", "--picture", "no/a.svg"), "目录 no 不存在", "there is no folder no"),
        (("some.jsonl", "--picture", "folder.svg"), "folder.svg 写不了", "folder.svg cannot be written"),
        (("some.jsonl", "--model", "no.skops"), "no.json 读不了", "no.json cannot be read"),
        (("some.jsonl", "--model", "bad.skops"), "bad.skops 不是完好的模型", "bad.skops is no sound model"),
        (("some.jsonl", "--model", "other.skops"), "other.skops 不是完好的模型", "other.skops is no sound model"),
    ],
)
def test_a_mistake_is_told_in_both_languages(ask, labelled: str, tmp_path: Path, arguments: tuple[str, ...], zh: str, en: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.svg").mkdir()
    (tmp_path / "bad.csv").write_text("text,primary\n漏水,质量\n", "utf-8")
    (tmp_path / "empty.csv").write_text("")
    for name, card in (("bad", "{"), ("other", "{}")):
        (tmp_path / f"{name}.skops").write_bytes(b"x")
        (tmp_path / f"{name}.json").write_text(card)
    code, out, err = ask("evaluate", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("错误：")
    assert zh in err
    assert en in err.partition("\nerror: ")[2]


def test_a_picture_that_cannot_be_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(measuring.BadSetting, match="cannot be written"):
        measuring.keep_picture(tmp_path / "a.svg", "<svg/>")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def test_unknown_words_are_listed_until_the_staff_tells_them(ask, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"量子泡泡坏了{n}"}) + "\n" for n in range(3)), "utf-8")
    code, out, _ = ask("unknown-words", "a.jsonl")
    assert code == 0
    assert "量子" in out
    told = [json.loads(line) for line in ask("unknown-words", "a.jsonl", "--json", "--top", "1")[1].splitlines()]
    assert len(told) == 1
    assert (told[0]["texts"], "量子泡泡" in told[0]["example"]) == (3, True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "terms.txt").write_text("[part] product_quality 部位\n量子泡泡\n", "utf-8")
    assert "没有常见的生词" in ask("unknown-words", "a.jsonl")[1]
    assert "没有常见的生词" in ask("unknown-words", "a.jsonl", "--least", "4")[1]


def test_unknown_words_of_a_call_are_the_customers(ask, tmp_path: Path) -> None:
    row = {"text": "客服：量子泡泡坏了吗\n客户：漏水", "channel": "phone"}
    (tmp_path / "a.jsonl").write_text((json.dumps(row) + "\n") * 3, "utf-8")
    assert "量子" not in ask("unknown-words", "a.jsonl")[1]


@pytest.mark.parametrize(("name", "zh"), [("none", "none：读不了"), ("bad.jsonl", "bad.jsonl:1：text：缺少正文")])
def test_unknown_words_names_a_bad_file(ask, tmp_path: Path, name: str, zh: str) -> None:
    (tmp_path / "bad.jsonl").write_text("{}")
    code, _, err = ask("unknown-words", name)
    assert code == 2
    assert zh in err
