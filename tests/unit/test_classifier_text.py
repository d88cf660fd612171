"""Normalising, masking and cutting: what is lost, what is kept, and the way back to the customer's own characters."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import text as cut

ROOT = Path(__file__).parents[2]


def words(text: str) -> tuple[str, ...]:
    return cut.segment(cut.normalise(text), cut.shipped_segmenter()).words


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("１８０１室ＡＢ", "1801室ab"),
        ("漏\u200b水\ufeff了\u202e", "漏水了"),
        ("樓頂漏水，開發商不處理", "楼顶漏水,开发商不处理"),
        ("一\r二\x0b三\u2028四", "一\n二\n三\n四"),
        ("a\tb\u3000c", "a b c"),
        ("\ud800漏\x00\x07", "漏"),
        ("118㎡", "118m2"),
        ("\ue000\ue001", ""),
    ],
)
def test_normalises(written: str, normal: str) -> None:
    assert cut.normalise(written).text == normal


def test_every_normal_character_knows_where_it_came_from() -> None:
    written = "一\u200b二㎡三"
    clean = cut.normalise(written)
    assert clean.text == "一二m2三"
    assert [written[slice(*clean.span(place, place + 1))] for place in range(5)] == ["一", "二", "㎡", "㎡", "三"]
    assert written[slice(*clean.span(0, 2))] == "一\u200b二"


def test_the_quick_way_gives_what_translating_each_character_gives() -> None:
    # A sign that becomes two characters makes the text be translated.
    for code in range(0x10000):
        assert cut.normalise(chr(code)).text + "m2" == cut.normalise(chr(code) + "㎡").text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("打13800004321找我", "<phone>"),
        ("打138 0000 4321找我", "<phone>"),
        ("看https://example.com/a?b=1这里", "<url>"),
        ("写到li.lei@example.com好了", "<email>"),
        ("2025年3月8号来的", "<date>"),
        ("多收了3.5万元", "<money>"),
        ("多收了两千块钱", "<money>"),
        ("说好九八折", "<discount>"),
        ("我家3栋2单元1801漏", "<unit>"),
        ("涨了15%", "<rate>"),
        ("证件11010119900307001x", "<id>"),
    ],
)
def test_masks_what_differs_from_text_to_text(text: str, masked: str) -> None:
    assert masked in words(text)


def test_words_of_the_trade_stay_whole() -> None:
    found = words("卫生间闭水试验没做，外墙渗水")
    assert "渗水" in found
    assert "外墙" in found


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200) | st.text(alphabet="漏水我1３-@.a樓㎡\u200b\n ，", max_size=200))
def test_words_cover_the_text_in_order(written: str) -> None:
    clean = cut.normalise(written)
    made = cut.segment(clean, cut.shipped_segmenter())
    place = 0
    for word, start, end in zip(made.words, made.starts, made.ends, strict=True):
        assert start == place
        assert word.startswith("<") or clean.text[start:end] == word
        begin, finish = clean.span(start, end)
        assert 0 <= begin < finish <= len(written)
        place = end
    assert place == len(clean.text)


@pytest.mark.parametrize("hostile", ["鿕" * 80_000, "a" * 80_000, "1" * 80_000, "龘靐齉" * 30_000, "a@" * 40_000, "漏水" * 40_000])
def test_long_runs_take_no_long_time(hostile: str) -> None:
    cut.shipped_segmenter()
    begun = time.perf_counter()
    words(hostile)
    assert time.perf_counter() - begun < 2


def test_a_very_long_text_is_read_by_head_and_tail() -> None:
    written = "头" + "中" * 100_000 + "尾"
    clean = cut.normalise(written)
    assert len(clean.text) <= cut.LONGEST + 1
    assert clean.text[0] == "头"
    assert clean.text[-1] == "尾"
    assert clean.span(len(clean.text) - 1, len(clean.text)) == (len(written) - 1, len(written))


def test_threads_share_one_segmenter() -> None:
    expected = words("电梯困人四十分钟，物业电话打不通")
    answers: list[tuple[str, ...]] = []
    threads = [threading.Thread(target=lambda: answers.append(words("电梯困人四十分钟，物业电话打不通"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 8


def python(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_jieba_is_silent_and_leaves_nothing_in_the_temp_folder(tmp_path: Path) -> None:
    # jieba's own cache there is marshal: whoever may write it could run code in the gateway.
    done = python("from classifiers import text; text.segment_all(['外墙渗水'])", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_importing_the_protocol_is_light(tmp_path: Path) -> None:
    done = python(
        "import sys, classifiers.base; print([name for name in ('jieba', 'sklearn', 'numpy', 'skops') if name in sys.modules])", tmp_path
    )
    assert done.stdout == "[]\n"
