"""The staff's `terms.txt`: its terms are heard, what is wrong with it is told by line, and no complaint waits for it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from fakes import FakeSender

from classifiers.base import Query
from gateway import bootstrap, cli, config, terms
from gateway.oplog import OperatorLog
from models.errors import BadSetting

GOOD = "# 本公司的说法\n[defect] product_quality 缺陷\n泛潮斑 起砂花\n"


def test_terms_of_the_home_are_read(tmp_path: Path) -> None:
    assert terms.read(tmp_path) is None
    (tmp_path / "terms.txt").write_text(GOOD, "utf-8-sig")
    own = terms.read(tmp_path)
    assert own
    assert (own.added, own.left_out) == (2, ())
    assert [hit.term for hit in own.reader.read(Query("厨房起砂花")).hits][-1] == "起砂花"


def test_what_does_not_count_is_told_in_both_languages(tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("[weather] - 天气\n下雪\n[defect] x 缺陷\n泛潮斑，起砂花\n\u200b\u200b\n", "utf-8")
    own = terms.read(tmp_path)
    assert own
    weather, empty, marked = own.left_out
    assert weather[0].startswith("terms.txt：自带词典里没有分面 [weather]，它的 1 个词未采用")
    assert weather[1].startswith("terms.txt: [weather] is not a facet of the lexicon")
    assert "规范化以后不成词" in empty[0]
    assert marked == ("terms.txt:4：词之间要用空格分开，不用标点", "terms.txt:4: part terms by blanks, not by punctuation")


@pytest.mark.parametrize(
    ("content", "where", "zh", "en"),
    [
        ("[defect x 缺陷\n", ":1", "分面的首行应写成", "a facet's head must read"),
        ("[a] x 甲\n[b] x 乙\n[a] x 甲\n", ":3", "分面 a 出现了两次", "facet a stands twice"),
        ("\n泛潮斑\n", ":2", "词的前面要先有分面的首行", "a facet's head must stand before"),
        ("墙面漏水无人维修".encode("gb18030"), "", "不是 UTF-8", "is not UTF-8"),
        (None, "", "读不了", "cannot be read"),
    ],
)
def test_a_malformed_file_is_told_by_line_and_stops_nothing(
    tmp_path: Path, content: str | bytes | None, where: str, zh: str, en: str
) -> None:
    path = tmp_path / "terms.txt"
    if content is None:
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadSetting) as error:
        terms.read(tmp_path)
    assert error.value.zh.startswith(f"{path}{where}：{zh}")
    assert error.value.en.startswith(f"{path}{where}: {en}")
    stream = io.StringIO()
    assert terms.reader_of(tmp_path, OperatorLog(stream=stream)).read(Query("墙面漏水")).hits
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["level"], line["verb"]) == ("warning", "TermsNotRead")
    assert (line["zh"], line["en"]) == (error.value.zh, error.value.en)


def gateway(home: Path, stream: io.StringIO) -> bootstrap.App:
    settings = config.load({"JIESU_HOME": str(home)})
    return bootstrap.build(settings, log=OperatorLog(stream=stream), sender=FakeSender(), serving=False)


def test_the_gateway_sorts_with_the_terms_of_its_home(tmp_path: Path) -> None:
    home, stream = tmp_path / "home", io.StringIO()
    home.mkdir()
    (home / "secrets").mkdir()
    (home / "terms.txt").write_text(GOOD + "[weather] - 天气\n下雪\n", "utf-8")
    app = gateway(home, stream)
    try:
        (verdict,) = app.champion.classifier().classify([Query("泛潮斑")])
        assert "泛潮斑" in {reason.term for reason in verdict.reasons} | {reason.term.partition("：")[2] for reason in verdict.reasons}
        # It is read once, when the classifier is loaded.
        app.champion.classifier()
    finally:
        app.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["verb"] for line in lines] == ["TermsRead", "TermsLeftOut"]
    assert (lines[0]["added"], lines[0]["left_out"]) == (2, 1)


def test_a_gateway_with_a_malformed_file_sorts_all_the_same(tmp_path: Path) -> None:
    home, stream = tmp_path / "home", io.StringIO()
    home.mkdir()
    (home / "secrets").mkdir()
    (home / "terms.txt").write_text("[", "utf-8")
    app = gateway(home, stream)
    try:
        assert app.champion.classifier().classify([Query("墙面漏水")])[0].primary.value == "product_quality"
    finally:
        app.close()
    assert "TermsNotRead" in stream.getvalue()


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (GOOD, 0, "自有词 terms.txt：新增 2 个  terms of your own: 2 new"),
        ("[weather] - 天气\n下雪\n", 0, "note: terms.txt: [weather] is not a facet"),
        ("[", 2, "terms.txt:1：分面的首行应写成"),
    ],
)
def test_check_config_looks_at_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str, code: int, said: str
) -> None:
    (tmp_path / "terms.txt").write_text(content, "utf-8")
    monkeypatch.setenv("JIESU_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["jiesu", "check-config"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    heard = capsys.readouterr()
    assert ended.value.code == code
    assert said in heard.out + heard.err


def test_a_question_is_answered_although_the_file_is_malformed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "terms.txt").write_text("[", "utf-8")
    monkeypatch.setenv("JIESU_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["jiesu", "classify", "墙面漏水"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    heard = capsys.readouterr()
    assert not ended.value.code
    assert json.loads(heard.out)["primary"] == "product_quality"
    assert heard.err.startswith("注意：")
    assert "\nnote: " in heard.err
