"""The training store on both databases: copies of corrections, history in, data out, what people say of labels, and what is forgotten."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import migrated
import pytest
from factories import MORNING, FakeClock, mail, submission
from fakes import FakeChampion, FakeSender

from classifiers.deidentify import Deidentifier
from gateway import bootstrap, config, importing
from gateway import examples as service
from gateway.bootstrap import App
from gateway.importing import Importer
from gateway.oplog import OperatorLog
from gateway.store import examples
from gateway.store.engine import Store
from gateway.store.examples import CORRECTION, IGNORED, IMPORTED, KEPT, ExampleRow
from models.correction import Source
from models.errors import BadSetting, Refused, TryLater
from models.verdict import ComplaintClass

PRICE, CONTRACT, QUALITY = ComplaintClass.PRICE, ComplaintClass.CONTRACT, ComplaintClass.PRODUCT_QUALITY
ROW = ExampleRow(0, IMPORTED, "k1", None, "a.csv", "email", "题", "多收了钱", PRICE, (CONTRACT,), "王静", MORNING, False, None)


# The figures do not depend on the database, and to search takes seconds.
on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def app(store_url: str, tmp_path: Path) -> Iterator[App]:
    settings = config.load({"JIESU_HOME": str(tmp_path / "home"), "JIESU_STORE_URL": store_url})
    made = bootstrap.build(
        migrated.prepare(settings), clock=FakeClock(), log=OperatorLog(stream=io.StringIO()), sender=FakeSender(), champion=FakeChampion()
    )
    yield made
    made.close()


def taken_in(app: App, body: str, *, subject: str = "投诉", sender: str = "林树 <lin@mail.example>") -> str:
    number = app.accept(submission(mail(subject, body, sender))).number
    app.worker.drain()
    app.clock.move(seconds=90)  # type: ignore[attr-defined]
    app.worker.drain()
    return number


def correct(app: App, number: str, klass: ComplaintClass, by: str = "王静") -> None:
    app.correcting.correct(number, klass, by=by, source=Source.API)


def stored(store: Store) -> list[ExampleRow]:
    with store.read() as conn:
        return list(examples.every(conn))


def put(store: Store, *rows: ExampleRow) -> None:
    with store.write() as conn:
        for row in rows:
            examples.put(store, conn, row)


# ---- the store


def test_the_later_word_wins_and_the_example_keeps_its_place(store: Store) -> None:
    put(store, ROW, replace(ROW, key="k2"), replace(ROW, primary=CONTRACT, secondary=(), by="李雷", added_at=MORNING + timedelta(days=1)))
    first, second = stored(store)
    assert (first.key, first.primary, first.secondary, first.by) == ("k1", CONTRACT, (), "李雷")
    assert replace(second, id=0) == replace(ROW, key="k2")
    with store.read() as conn:
        assert [row.key for row in examples.usable(conn)] == ["k2", "k1"]


def test_golden_stays_golden_and_neither_it_nor_its_twin_nor_the_ignored_is_trained_on(store: Store) -> None:
    twin = replace(ROW, origin=CORRECTION, key="TS-1", number="TS-1")
    put(store, replace(ROW, golden=True), ROW, twin, replace(ROW, key="k3", text="漏水", looked_at=IGNORED))
    put(store, replace(ROW, key="k4", text="电梯停了", looked_at=KEPT))
    with store.read() as conn:
        assert [row.key for row in examples.golden(conn)] == ["k1"]
        assert [row.key for row in examples.usable(conn)] == ["k4"]


def test_what_a_person_said_of_a_label_lasts_as_long_as_the_label(store: Store) -> None:
    put(store, replace(ROW, looked_at=IGNORED), ROW)
    assert [row.looked_at for row in stored(store)] == [IGNORED]
    put(store, replace(ROW, primary=CONTRACT))
    assert [row.looked_at for row in stored(store)] == [None]


def test_pages_and_what_they_may_ask_for(store: Store) -> None:
    put(store, *(replace(ROW, key=f"k{n}", text=f"第{n}条 100%", primary=PRICE if n % 2 else CONTRACT) for n in range(7)))
    with store.read() as conn:
        first = examples.page(conn, 0, 3)
        rest = examples.page(conn, first[-1].id, 100)
        assert [row.text for row in (*first, *rest)] == [f"第{n}条 100%" for n in range(7)]
        assert len(examples.page(conn, primary=PRICE)) == 3
        assert [row.text for row in examples.page(conn, contains="第5")] == ["第5条 100%"]
        assert len(examples.page(conn, contains="100%")) == 7
        assert examples.page(conn, contains="1_0") == []
        assert examples.page(conn, golden=True) == examples.page(conn, origin=CORRECTION) == []


# ---- copies of corrections, and forgetting


def test_a_correction_leaves_a_copy_without_whose_it_is(app: App) -> None:
    number = taken_in(app, "您好，合同问题：我叫林树，电话13912345678，多收了两万。", subject="林树的投诉")
    correct(app, number, PRICE)
    (copy,) = stored(app.store)
    assert (copy.origin, copy.key, copy.number, copy.source, copy.by) == (CORRECTION, number, number, "api", "王静")
    assert (copy.primary, copy.secondary, copy.channel, copy.golden) == (PRICE, (), "email", False)
    assert "林树" not in copy.title + copy.text
    assert "139" not in copy.text
    assert "多收了两万" in copy.text


def test_a_name_that_only_the_envelope_knows_is_masked_too(app: App) -> None:
    number = taken_in(app, "合同问题。楚云飞已经付清全款。", sender="楚云飞 <c@mail.example>")
    correct(app, number, PRICE)
    assert "楚云飞" not in stored(app.store)[0].text


def test_the_last_correction_counts_and_an_erasure_removes_the_copy(app: App) -> None:
    number, other = taken_in(app, "这是合同问题"), taken_in(app, "这是价格问题，退钱")
    correct(app, number, PRICE)
    correct(app, other, PRICE)
    correct(app, number, CONTRACT, by="李雷")
    assert {row.number: (row.primary, row.by) for row in stored(app.store)} == {number: (CONTRACT, "李雷"), other: (PRICE, "王静")}
    assert app.examples.forget(f" {number} ") == 1
    assert app.examples.forget(number) == 0
    assert [row.number for row in stored(app.store)] == [other]


def test_a_correction_that_fails_leaves_no_copy(app: App) -> None:
    with pytest.raises(Refused):
        correct(app, "TS-20200101-0001", PRICE)
    assert stored(app.store) == []


# ---- labels


def test_what_a_person_says_of_a_label(app: App) -> None:
    put(app.store, ROW, replace(ROW, key="k2"), replace(ROW, key="k3"))
    first, second, third = stored(app.store)
    assert app.examples.settle(first.id, "keep", None, "李雷") == {
        "id": first.id,
        "origin": "import",
        "number": None,
        "source": "a.csv",
        "channel": "email",
        "title": "题",
        "text": "多收了钱",
        "primary": "price",
        "secondary": ["contract"],
        "by": "王静",
        "added_at": "2026-11-23T01:00:00Z",
        "golden": False,
        "looked_at": "kept",
    }
    assert app.examples.settle(second.id, "ignore", None, "李雷")["looked_at"] == "ignored"
    done = app.examples.settle(third.id, "relabel", CONTRACT, "李雷")
    assert (done["primary"], done["secondary"], done["by"], done["looked_at"]) == ("contract", [], "李雷", "kept")
    counts = app.examples.counts()
    assert (counts["total"], counts["usable"], counts["kept"], counts["ignored"], counts["golden"]) == (3, 2, 2, 1, 0)
    assert counts["by_class"]["price"] == counts["by_class"]["contract"] == 1
    assert counts["by_origin"] == {"correction": 0, "import": 3}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ((99, "keep", None, "李雷"), "no_such_example"),
        ((1, "drop", None, "李雷"), "bad_action"),
        ((1, "relabel", None, "李雷"), "bad_primary"),
        ((1, "keep", PRICE, "李雷"), "bad_primary"),
        ((1, "keep", None, "  "), "bad_by"),
        ((1, "keep", None, "长" * 81), "bad_by"),
    ],
)
def test_decisions_that_make_no_sense_change_nothing(app: App, asked: tuple, code: str) -> None:
    put(app.store, ROW)
    with pytest.raises(Refused) as caught:
        app.examples.settle(*asked)
    assert caught.value.code == code
    assert stored(app.store)[0].looked_at is None


@on_sqlite
def test_suspicious_labels_are_shown_until_somebody_has_looked(app: App) -> None:
    texts = {
        QUALITY: "卫生间漏水{}处，墙面开裂空鼓",
        PRICE: "首付款多收了{}万，要求退差价",
        CONTRACT: "合同第{}条和承诺不一致，要求解除合同",
    }
    rows = [
        replace(ROW, key=f"{klass}{n}", title="", text=text.format(chr(0x4E00 + 40 * n)), primary=klass, secondary=())
        for klass, text in texts.items()
        for n in range(8)
    ]
    put(
        app.store, *rows, replace(ROW, key="wrong", title="", text="楼顶渗水，天花板发霉，要求维修", primary=PRICE, secondary=(), by="新人")
    )
    (first,) = app.examples.suspicious(1)
    assert (first["text"], first["primary"], first["likely"], first["by"]) == (
        "楼顶渗水，天花板发霉，要求维修",
        "price",
        "product_quality",
        "新人",
    )
    assert first["probability"] > 0.5 > first["stated"]
    app.examples.settle(first["id"], "keep", None, "李雷")
    assert first["id"] not in [one["id"] for one in app.examples.suspicious(50)]


@on_sqlite
def test_a_search_that_does_not_end_is_told_and_tried_anew(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    put(app.store, *(replace(ROW, key=f"k{n}", text=f"漏水{chr(0x4E00 + n)}") for n in range(12)))
    monkeypatch.setattr(service, "_SEARCH_SECONDS", 0.001)
    with pytest.raises(TryLater):
        app.examples.suspicious(5)
    monkeypatch.undo()
    assert isinstance(app.examples.suspicious(5), list)


def test_no_example_has_so_large_a_number(store: Store) -> None:
    with store.read() as conn:
        assert examples.load(conn, 10**30) is None
        assert examples.page(conn, 10**30) == []


def test_few_examples_are_not_judged(app: App) -> None:
    put(app.store, ROW)
    assert app.examples.suspicious(10) == []


def test_two_who_disagree_are_shown_and_agreement_is_reckoned(app: App) -> None:
    one, two, three = (taken_in(app, f"这是合同问题 {n}") for n in range(3))
    assert app.examples.agreement()["alpha"] is None
    for number, by, klass in (
        (one, "王静", PRICE),
        (one, "李雷", CONTRACT),
        (two, "王静", CONTRACT),
        (two, "李雷", PRICE),
        (two, "李雷", CONTRACT),
        (three, "王静", PRICE),
    ):
        correct(app, number, klass, by=by)
        app.clock.move(minutes=1)  # type: ignore[attr-defined]
    (differ,) = app.examples.disagreements()
    assert (differ["number"], differ["class"], differ["title"]) == (one, "contract", "投诉")
    assert [(said["by"], said["class"]) for said in differ["said"]] == [("王静", "price"), ("李雷", "contract")]
    told = app.examples.agreement()
    assert (told["complaints"], told["people"], told["differ"]) == (2, 2, 1)
    # Two units price–contract and contract–contract: 1 − (1/2) / (3·1·2 / (4·3)) = 0.
    assert told["alpha"] == 0.0


# ---- history in, data out


@pytest.fixture
def importer(store: Store) -> Importer:
    return Importer(store, FakeClock(), Deidentifier(), OperatorLog(stream=io.StringIO()))


def take_in(importer: Importer, path: Path, *, golden: bool = False, columns: str = "") -> importing.Plan:
    planned = importer.plan(importing.read_file(path, importing.columns_of(columns), "导入者", golden), path.name)
    importer.take_in(planned, 0)
    return planned


def counted(planned: importing.Plan) -> tuple[int, int, int]:
    return planned.new, planned.known, planned.changed


def written(tmp_path: Path, text: str, name: str = "h.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_history_is_masked_compared_and_kept(importer: Importer, store: Store, tmp_path: Path) -> None:
    path = written(
        tmp_path, "投诉内容,分类,渠道,次要类别\n我叫林树，电话13912345678，多收了钱,价格问题,邮件,合同问题\n漏水,产品质量,电话,\n"
    )
    assert counted(take_in(importer, path)) == (2, 0, 0)
    first, second = stored(store)
    assert (first.text, first.primary, first.secondary, first.channel) == ("我叫**，电话13000000000，多收了钱", PRICE, (CONTRACT,), "email")
    assert (first.origin, first.source, first.by, first.number, len(first.key)) == (IMPORTED, "h.csv", "导入者", None, 64)
    assert counted(take_in(importer, path)) == (0, 2, 0)
    # The same complaint of somebody else by the same words is the same example.
    again = written(tmp_path, "text,primary\n我叫王小明，电话13700001111，多收了钱,合同问题\n", "again.csv")
    assert counted(take_in(importer, again)) == (0, 0, 1)
    changed = stored(store)[0]
    assert (changed.id, changed.primary, changed.secondary, changed.source) == (first.id, CONTRACT, (), "again.csv")
    assert stored(store)[1] == second


def test_a_call_is_kept_as_what_the_customer_said(importer: Importer, store: Store, tmp_path: Path) -> None:
    text = json.dumps(
        {"text": "客服：您好，请问贵姓？\n客户：我姓林，漏水了。", "primary": "产品质量", "channel": "电话"}, ensure_ascii=False
    )
    take_in(importer, written(tmp_path, text, "c.jsonl"))
    assert [row.text for row in stored(store)] == ["我姓**，漏水了。"]


def test_golden_is_never_unlearned(importer: Importer, store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, "text,primary\n漏水,产品质量\n")
    take_in(importer, path)
    assert counted(take_in(importer, path, golden=True)) == (0, 1, 0)
    assert stored(store)[0].golden
    planned = take_in(importer, path)
    assert (counted(planned), planned.stay_golden, planned.rows) == ((0, 1, 0), 1, [])
    assert stored(store)[0].golden


def test_a_text_that_stands_twice_counts_as_it_was_said_last(importer: Importer, store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, "text,primary\n漏水,价格问题\n漏水,产品质量\n漏水,产品质量\n")
    planned = take_in(importer, path)
    assert (counted(planned), planned.repeated, planned.contradicting) == ((1, 0, 0), 2, 1)
    assert [row.primary for row in stored(store)] == [QUALITY]
    assert counted(take_in(importer, path)) == (0, 1, 0)


@pytest.mark.parametrize("format", ["csv", "xlsx", "jsonl"])
def test_out_and_in_again_changes_nothing(app: App, format: str, tmp_path: Path) -> None:
    number = taken_in(app, "这是合同问题，我叫林树，\r\n多收了‘钱’\t=1+1")
    correct(app, number, PRICE)
    importer = Importer(app.store, app.clock, app.examples.deidentifier, app.log)
    rows = [
        "=1+1",
        "'=1",
        "-漏水",
        "@a\nb",
        "客服：您好\n客户：\t漏水",
        "多,收\"了'钱",
        "  头尾  ",
        "我叫林树 13912345678 lin@x.example 京A12345",
    ]
    lines = [
        {"text": text, "primary": "price", "secondary": ["contract"], "channel": "phone", "title": f"题{n}"} for n, text in enumerate(rows)
    ]
    take_in(importer, written(tmp_path, "\n".join(json.dumps(line) for line in lines), "in.jsonl"))
    put(app.store, replace(ROW, key="unlike", golden=True))
    # A row that did not come by an import has a key of its own choosing; it comes back as a new one, and only that.
    with app.store.write() as conn:
        conn.exec_driver_sql("DELETE FROM examples WHERE key = 'unlike'")
    before = stored(app.store)
    assert len(before) == 9
    path = tmp_path / f"out.{format}"
    with path.open("wb") as file:
        assert importing.export(file, iter(before), format) == 9
    planned = take_in(importer, path)
    assert (counted(planned), planned.rows, planned.repeated) == ((0, 9, 0), [], 0)
    assert stored(app.store) == before
    assert number not in path.read_bytes().decode("utf-8", "replace")


def test_label_studio_gets_tasks_with_their_labels() -> None:
    file = io.BytesIO()
    importing.export(file, iter([ROW, replace(ROW, secondary=(), channel=None)]), "label-studio")
    tasks = json.loads(file.getvalue())
    assert tasks[0]["data"] == {"text": "多收了钱", "title": "题", "channel": "email", "by": "王静"}
    assert tasks[0]["annotations"][0]["result"] == [
        {"from_name": "class", "to_name": "text", "type": "choices", "value": {"choices": ["价格问题"]}},
        {"from_name": "secondary", "to_name": "text", "type": "choices", "value": {"choices": ["合同问题"]}},
    ]
    assert len(tasks[1]["annotations"][0]["result"]) == 1


def test_nothing_to_export_is_still_a_sound_file(tmp_path: Path) -> None:
    for format in importing.FORMATS:
        file = io.BytesIO()
        assert importing.export(file, iter([]), format) == 0
    assert json.loads(file.getvalue()) == []


def test_bad_rows_are_named_and_kept_aside_and_the_good_ones_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "编号,text,primary,channel\n1,漏水,产品质量,\n2,,价格问题,\n3,=1+1,收费,\n4,电梯,产品质量,微信\n5,a,b,c,d,e\n")
    read = importing.read_file(path, {}, "甲", False)
    assert [one.row.text for one in read.good] == ["漏水"]
    assert [(one.number, one.problem.en.split(":")[2].strip()) for one in read.bad] == [
        (3, "text"),
        (4, "primary"),
        (5, "channel"),
        (6, "has 6 cells under 4 names; quote a text that holds commas"),
    ]
    assert read.unused == ["编号"]
    kept = importing.keep_bad(path, read.bad)
    assert kept.name == "h.csv.bad.csv"
    lines = kept.read_text("utf-8-sig").splitlines()
    assert lines[0] == "编号,text,primary,channel,line,row,reason_zh,reason"
    assert lines[2].startswith("3,'=1+1,收费,")
    assert '"5,a,b,c,d,e"' in lines[4]
    kept.write_text(kept.read_text("utf-8-sig").replace("收费", "价格问题"), "utf-8")
    mended = importing.read_file(kept, {}, "甲", False)
    assert [one.row.text for one in mended.good] == ["=1+1"]


def test_bad_lines_of_json_keep_what_stood_there(tmp_path: Path) -> None:
    path = written(tmp_path, '{"text": "漏水", "primary": "price"}\n{"text": "x"\n{"text": "y", "primary": "?"}\n', "h.jsonl")
    read = importing.read_file(path, {}, "甲", False)
    kept = importing.keep_bad(path, read.bad)
    rows = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    assert [(row["row"], row.get("line"), row.get("text")) for row in rows] == [(2, '{"text": "x"', None), (3, None, "y")]


def test_columns_are_named_in_any_words(tmp_path: Path) -> None:
    path = written(tmp_path, "内容,诉求,结论,谁\nx,漏水,价格问题,王静\n")
    read = importing.read_file(path, importing.columns_of("text=诉求，primary=结论, by=谁"), "甲", True)
    assert [(one.row.text, one.row.primary, one.by, one.golden) for one in read.good] == [("漏水", PRICE, "王静", True)]
    assert read.unused == ["内容"]


@pytest.mark.parametrize("said", ["text", "text=", "=内容", "texts=内容", "text=a,text=b", "text=a,title=a"])
def test_columns_that_make_no_sense(said: str) -> None:
    with pytest.raises(BadSetting) as caught:
        importing.columns_of(said)
    assert caught.value.key == "--columns"


@pytest.mark.parametrize(
    ("text", "columns", "named"),
    [
        ("", "", "empty"),
        ("a,b\n1,2\n", "", "text"),
        ("text,primary\n", "", "header"),
        ("text,primary\n漏水,价格问题\n", "primary=类别", "类别"),
    ],
)
def test_files_that_cannot_be_used_at_all(text: str, columns: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as caught:
        importing.read_file(written(tmp_path, text), importing.columns_of(columns), "甲", False)
    assert named in caught.value.en


def test_files_that_are_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting):
        importing.read_file(tmp_path / "none.csv", {}, "甲", False)
    with pytest.raises(BadSetting):
        importing.read_file(tmp_path, {}, "甲", False)
    monkeypatch.setattr(importing, "MOST_BYTES", 3)
    with pytest.raises(BadSetting) as caught:
        importing.read_file(written(tmp_path, "text,primary\n"), {}, "甲", False)
    assert "split" in caught.value.en
