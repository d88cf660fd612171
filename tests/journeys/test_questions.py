"""`jiesu classify` and `jiesu inspect`: what operators ask, with answers whose form stays."""

from __future__ import annotations

import io
import json
import select
import subprocess
from pathlib import Path

import pytest
from serving import JIESU, ROOT, environment

from gateway import cli

CLASSES = {"product_quality", "service_attitude", "contract", "price", "other"}


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command in this process on a fresh home; gives exit code, output and messages."""
    monkeypatch.setenv("JIESU_HOME", str(tmp_path / "home"))

    def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jiesu", *arguments])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_classify_answers_for_one_text(ask) -> None:
    code, out, _ = ask("classify", "卫生间天花板漏水三个月没人修，我叫林佳树，电话13800004321，云栖里6栋1503")
    answer = json.loads(out)
    assert code == 0
    assert set(answer) == {"primary", "probabilities", "secondary", "decision", "risk", "reasons", "customer"}
    assert answer["primary"] == "product_quality"
    assert set(answer["probabilities"]) == CLASSES
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert answer["decision"] in ("auto", "review")
    assert answer["customer"]["phone"] == "13800004321"
    assert answer["reasons"]
    assert {"term", "weight", "spans"} == set(answer["reasons"][0])


def test_classify_jsonl_answers_each_line_in_order(ask, tmp_path: Path) -> None:
    rows = [
        {"text": "客服：您好，请问您是要退房吗？\n客户：不是，我家外墙漏水，你们派人来修！", "channel": "phone"},
        {"text": "售楼员态度恶劣，骂人，我要投诉他，让他道歉", "title": "服务态度太差", "channel": "email"},
        {"text": "买房时承诺优惠五万没有兑现，要求退还多收的房款差价"},
        {"text": ""},
    ]
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", "utf-8")
    code, out, _ = ask("classify", "--jsonl", str(file))
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [answer["primary"] for answer in answers][:3] == ["product_quality", "service_attitude", "price"]
    # Nothing to go by: a person decides.
    assert answers[3]["decision"] == "review"
    assert json.loads(ask("classify", "--jsonl", "-", stdin=file.read_bytes())[1].splitlines()[0]) == answers[0]


def test_the_agents_words_do_not_decide(ask, tmp_path: Path) -> None:
    talk = "客服：您要退定金、退房、解除合同、要违约金吗？\n客户：我家墙面开裂漏水，赶紧来人修\n客服：合同违约金怎么算您清楚吗？"
    file = tmp_path / "in.jsonl"
    file.write_text(
        json.dumps({"text": talk, "channel": "phone"}) + "\n" + json.dumps({"text": "我家墙面开裂漏水，赶紧来人修", "channel": "phone"})
    )
    first, second = (json.loads(line) for line in ask("classify", "--jsonl", str(file))[1].splitlines())
    assert first["probabilities"] == pytest.approx(second["probabilities"])


def test_a_bad_line_is_answered_in_its_place_and_the_rest_goes_on(ask) -> None:
    lines = [
        b'{"text": "\xe6\xbc\x8f\xe6\xb0\xb4"}',
        b"nonsense",
        b"[1]",
        b'{"title": "x"}',
        b'{"text": 5}',
        b'{"text": "x", "channel": "fax"}',
        b'{"text": "x"}',
    ]
    code, out, err = ask("classify", "--jsonl", "-", stdin=b"\n".join(lines))
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [answer.get("error", {}).get("line") for answer in answers] == [None, 2, 3, 4, 5, 6, None]
    assert "5 行无法读取" in err


def test_a_text_that_no_file_can_hold_does_not_stop_the_others(ask) -> None:
    code, out, _ = ask("classify", "--jsonl", "-", stdin=b'{"text": "\\ud800 \\u6f0f\\u6c34"}\n{"text": "x"}\n')
    assert code == 0
    assert len(out.splitlines()) == 2
    assert ask("classify", "\ud800 漏水")[0] == 0


def test_lines_are_answered_as_they_come_through_a_pipe(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [*JIESU, "classify", "--jsonl", "-"],
        cwd=ROOT,
        env=environment(tmp_path / "home"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with program:
        assert program.stdin
        assert program.stdout
        for line in (b'{"text": "x"}\n', b"nonsense\n"):
            program.stdin.write(line)
            program.stdin.flush()
            # Would wait for ever if the whole input were awaited.
            assert select.select([program.stdout], [], [], 100)[0]
            answer = json.loads(program.stdout.readline())
        assert answer["error"]["line"] == 2
        program.stdin.close()
    assert program.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["classify"], "请给出一段文字"),
        (["classify", "x", "--jsonl", "y"], "请给出一段文字"),
        (["classify", "x", "--channel", "fax"], "“fax” 不行"),
        (["classify", "--jsonl", "/none/such"], "读不了"),
    ],
)
def test_wrong_use_is_told(ask, arguments: list[str], said: str) -> None:
    code, _, err = ask(*arguments)
    assert code == 2
    assert said in err


def test_text_that_is_not_utf8_is_named(ask) -> None:
    code, _, err = ask("classify", "--jsonl", "-", stdin="中文".encode("gb18030"))
    assert code == 2
    assert "不是 UTF-8" in err


def test_inspect_mail_prints_one_line_a_file(ask, tmp_path: Path) -> None:
    mail = tmp_path / "a.eml"
    mail.write_bytes("From: 林树 <lin@mail.example>\r\nSubject: 漏水\r\nMessage-ID: <1@x>\r\n\r\n还在漏\r\n\r\n> 已派人\r\n".encode())
    code, out, err = ask("inspect", "mail", str(mail), str(tmp_path / "none"), str(mail))
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert len(lines) == 3
    keys = {"from_email", "from_display_name", "subject", "text", "reply_text", "attachments", "message_id", "auto_generated", "defects"}
    assert set(lines[0]) == keys
    assert (lines[0]["from_email"], lines[0]["subject"], lines[0]["reply_text"].strip()) == ("lin@mail.example", "漏水", "还在漏")
    assert "none" in lines[1]["error"]["file"]
    assert lines[2] == lines[0]
    assert "1 个文件无法理解" in err


def test_inspect_transcript_prints_one_line_a_file(ask, tmp_path: Path) -> None:
    call = tmp_path / "a.txt"
    call.write_text("客服：您好\n客户：我家漏水\n", "utf-8")
    bad = tmp_path / "b.json"
    bad.write_text('{"x": 1}')
    code, out, _ = ask("inspect", "transcript", str(call), str(bad))
    told, error = (json.loads(line) for line in out.splitlines())
    assert code == 1
    assert set(told) == {"format", "turns", "customer_text", "call", "defects"}
    assert set(told["call"]) == {"id", "started_at", "duration", "phones"}
    assert [turn["role"] for turn in told["turns"]] == ["agent", "customer"]
    assert told["customer_text"] == "我家漏水"
    assert error["error"]["code"] == "unknown_format"


def test_help_is_in_both_languages(ask) -> None:
    code, out, _ = ask("--help")
    assert code == 0
    for command in ("serve", "init", "check-config", "samples", "tracker", "parked", "replay", "classify", "inspect", "train", "up"):
        assert f"\n  {command} " in out
    assert "启动网关" in out
    assert "Runs the gateway" in out
