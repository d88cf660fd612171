"""The drop folder with everything that a folder can hold: whole files are taken once, strange ones set aside, and none is lost."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import Meeting, eventually
from running import RunningGateway

from connectors import phone_drop
from connectors.phone_drop import DropOptions, PhoneDrop
from models.errors import BadSetting, TryLater
from models.submission import Channel, Receipt, Submission

CALL = "客服：您好。\n客户：我家漏水，{}号。\n"


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningGateway]:
    # As in real life, but in less time.
    monkeypatch.setattr(phone_drop, "_LOOK_MS", 50)
    monkeypatch.setattr(phone_drop, "_AGAIN_SECONDS", 0.2)
    with RunningGateway(tmp_path, drop_settle_seconds=0.05, drop_rescan_seconds=3600, drop_max_bytes=10_000) as running:
        yield running


def drop(gateway: RunningGateway, name: str | bytes, text: str) -> Path:
    """Moves a whole file in, as the call centre is asked to."""
    target = gateway.drop / os.fsdecode(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=gateway.home)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(aside).rename(target)
    return target


def taken(gateway: RunningGateway) -> list[str]:
    return [one.raw.decode() for one in gateway.committed(Channel.PHONE)]


def done(gateway: RunningGateway) -> list[Path]:
    return sorted((gateway.drop / "done").glob("*/*"))


def wait_for(gateway: RunningGateway, count: int) -> None:
    """Waits until so many files have been taken and moved."""
    eventually(lambda: len(done(gateway)) >= count)
    assert len(taken(gateway)) == count


def aside(gateway: RunningGateway) -> dict[str, str]:
    """What lies in quarantine, by its own name, with the code of its reason."""
    found = {}
    for reason in (gateway.drop / "quarantine").glob("*.reason.txt"):
        kept = reason.name.removesuffix(".reason.txt")
        assert os.path.lexists(reason.with_name(kept))
        code, zh, en = reason.read_text("utf-8").splitlines()
        assert zh
        assert en
        found[kept.split("-", 2)[2]] = code
    return found


def test_a_whole_file_becomes_a_complaint_and_lies_in_done_under_its_number(gateway: RunningGateway) -> None:
    drop(gateway, "call.txt", CALL.format(1))
    wait_for(gateway, 1)
    (kept,) = done(gateway)
    assert kept.name.startswith(gateway.numbers()[0])
    assert kept.name.endswith("-call.txt")
    assert kept.read_text() == CALL.format(1)
    assert gateway.committed()[0].envelope == {"door": "drop", "file_name": "call.txt"}
    assert not (gateway.drop / "call.txt").exists()
    eventually(lambda: gateway.sender.accepted)


def test_what_was_there_before_the_start_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "early.txt").write_text(CALL.format(1))
    with RunningGateway(tmp_path) as gateway:
        wait_for(gateway, 1)


def test_a_file_that_is_still_open_for_writing_is_waited_for(gateway: RunningGateway) -> None:
    with (gateway.drop / "live.txt").open("w") as live:
        live.write("客户：我家")
        live.flush()
        # A later file has settled and is taken; the open one has been left alone for longer, and is not.
        drop(gateway, "other.txt", CALL.format(1))
        wait_for(gateway, 1)
        live.write("漏水。\n")
    eventually(lambda: "客户：我家漏水。\n" in taken(gateway))
    wait_for(gateway, 2)


def test_a_file_under_another_name_until_it_is_whole(gateway: RunningGateway) -> None:
    names = ["a.part", "b.tmp", ".c.txt", "d.PARTIAL", "e.crdownload", "f.filepart", ".hidden/g.txt", "h.part/i.txt"]
    for name in names:
        drop(gateway, name, name)
    drop(gateway, "other.txt", CALL.format(1))
    wait_for(gateway, 1)
    (gateway.drop / "a.part").rename(gateway.drop / "a.txt")
    wait_for(gateway, 2)
    assert taken(gateway)[1] == "a.part"
    assert all((gateway.drop / name).exists() for name in names[1:])


def test_what_is_no_plain_file_is_set_aside_and_the_others_go_on(gateway: RunningGateway, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for the gateway")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.txt").write_text("not for the gateway")
    (gateway.drop / "a-link.txt").symlink_to(secret)
    (gateway.drop / "b-dangling").symlink_to(tmp_path / "nowhere")
    (gateway.drop / "c-folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(gateway.drop / "d-pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(gateway.drop / "e-socket"))
    (gateway.drop / "f-large.txt").write_bytes(b"x" * 10_001)
    with (gateway.drop / "g-huge.txt").open("wb") as sparse:
        sparse.truncate(2 * 1024**3)
    drop(gateway, "z.txt", CALL.format(1))
    eventually(lambda: len(aside(gateway)) == 7)
    wait_for(gateway, 1)
    strange = dict.fromkeys(["a-link.txt", "b-dangling", "c-folder", "d-pipe", "e-socket"], "no_plain_file")
    assert aside(gateway) == strange | {"f-large.txt": "too_large", "g-huge.txt": "too_large"}
    assert secret.read_text() == "not for the gateway"
    assert len(gateway.log("Quarantined")) == 7
    assert gateway.log("Fault") == []


def test_a_reason_that_cannot_be_written_leaves_the_file_where_it_is_until_it_can(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = Path.write_text, [True]

    def on_a_full_disk(path: Path, *more: str) -> int:
        if path.name.endswith(".reason") and full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *more)

    monkeypatch.setattr(Path, "write_text", on_a_full_disk)
    (gateway.drop / "large.txt").write_bytes(b"x" * 10_001)
    drop(gateway, "b.txt", CALL.format(1))
    wait_for(gateway, 1)
    assert (gateway.drop / "large.txt").exists()
    assert aside(gateway) == {}
    full.clear()
    eventually(lambda: aside(gateway) == {"large.txt": "too_large"})
    assert len(list((gateway.drop / "quarantine").iterdir())) == 2


def test_a_file_that_we_may_not_read_is_set_aside() -> None:
    # Root may read everything, so a process that is nobody looks.
    script = f"""
import os, sys
from pathlib import Path
sys.path[:0] = {[str(Path(phone_drop.__file__).parents[1]), str(Path(__file__).parents[1])]!r}
from datetime import UTC, datetime
from connectors.phone_drop import DropOptions, PhoneDrop
from models.submission import Receipt
folder = Path(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
told = []
drop = PhoneDrop(lambda s: Receipt(1, "TS-1"), lambda: datetime(2026, 11, 23, tzinfo=UTC), lambda *a, **k: told.append((a, k)),
                 DropOptions(folder, settle_seconds=0))
drop.prepare()
(folder / "a.txt").write_text("a")
(folder / "a.txt").chmod(0)
(folder / "b.txt").write_text("b")
(folder / "shut").mkdir(mode=0)
print(drop.look(), told, sorted(p.name for p in (folder / "quarantine").iterdir()))
"""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "drop"
        folder.mkdir()
        for one in (Path(made), folder):
            one.chmod(0o777)
        ran = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.startswith("1 [(('Quarantined',), {'code': 'unreadable', 'where': 'drop'})]"), ran.stderr
    assert "a.txt.reason.txt" in ran.stdout


@pytest.mark.parametrize("error", [TryLater("full", "磁盘已满", "disk full"), ZeroDivisionError(), PermissionError(errno.EACCES, "x")])
def test_what_cannot_be_taken_in_stays_and_is_tried_again_while_the_others_go_on(gateway: RunningGateway, error: Exception) -> None:
    def fail(submission: Submission) -> None:
        if b"1" in submission.raw:
            raise error

    gateway.watched.before = fail
    drop(gateway, "a.txt", CALL.format(1))
    drop(gateway, "b.txt", CALL.format(2))
    wait_for(gateway, 1)
    assert (gateway.drop / "a.txt").exists()
    assert aside(gateway) == {}
    gateway.watched.before = lambda _: None
    wait_for(gateway, 2)
    assert gateway.running


def test_a_crash_between_commit_and_move_makes_no_second_complaint(gateway: RunningGateway) -> None:
    def fail(_: Submission) -> None:
        gateway.watched.after = lambda _: None
        raise ConnectionError

    gateway.watched.after = fail
    drop(gateway, "a.txt", CALL.format(1))
    eventually(lambda: done(gateway))
    assert len(taken(gateway)) == 1
    assert gateway.log("Duplicate")[0]["number"] == gateway.numbers()[0]


def test_the_same_name_with_other_words_is_another_call(gateway: RunningGateway) -> None:
    for n in (1, 2):
        drop(gateway, "call.txt", CALL.format(n))
        wait_for(gateway, n)
    assert len(set(gateway.numbers())) == 2


def test_the_same_words_are_the_same_call_whatever_the_name_and_leave_the_folder(gateway: RunningGateway) -> None:
    drop(gateway, "call.txt", CALL.format(1))
    wait_for(gateway, 1)
    for name in ("call.txt", "other.txt", "north/other.txt"):
        again = drop(gateway, name, CALL.format(1))
        eventually(lambda again=again: not again.exists())
    assert len(taken(gateway)) == 1
    # Where hardly a word was said the names tell two calls apart.
    for name in ("a.txt", "b.txt", "b.txt"):
        again = drop(gateway, name, "客户：喂")
        eventually(lambda again=again: not again.exists())
    assert len(taken(gateway)) == 3


def test_three_hundred_files_at_once(gateway: RunningGateway) -> None:
    for n in range(300):
        drop(gateway, f"{n}.txt", CALL.format(n))
    eventually(lambda: len(done(gateway)) == 300)
    assert sorted(taken(gateway)) == sorted(CALL.format(n) for n in range(300))
    assert len(set(gateway.numbers())) == 300
    assert not [path for path in gateway.drop.iterdir() if path.is_file()]


def test_files_in_subfolders_are_taken(gateway: RunningGateway) -> None:
    for n, name in enumerate(["a/b/c/call.txt", "a/done/call.txt", "今天/call.txt", "quarantine.txt"], 1):
        drop(gateway, name, CALL.format(n))
        wait_for(gateway, n)
    assert {one.envelope["file_name"] for one in gateway.committed()} >= {"a/b/c/call.txt", "a/done/call.txt", "今天/call.txt"}


def test_names_of_every_kind(gateway: RunningGateway) -> None:
    names = ["with space.txt", "客户来电.txt", "two\nlines.txt", "x" * 255, "长" * 85, "长" * 82 + ".txt", "-rf", "a'\"$(x)`;.txt", "CON"]
    for n, name in enumerate(names):
        drop(gateway, name, CALL.format(n))
    drop(gateway, b"\xff\xfe-\xc4\xe3.txt", CALL.format(99))
    wait_for(gateway, len(names) + 1)
    told = {str(one.envelope["file_name"]) for one in gateway.committed()}
    assert {name for name in told if "\ufffd" not in name} == set(names)
    # The longest names must also fit into the quarantine, with their reasons beside them.
    for name in names:
        (gateway.drop / name).symlink_to("/nowhere")
    eventually(lambda: len(gateway.log("Quarantined")) == len(names))
    assert set(aside(gateway).values()) == {"no_plain_file"}
    assert not [path for path in gateway.drop.iterdir() if not path.is_dir()]


@pytest.mark.parametrize("through", ["relative", "link"])
def test_a_folder_named_in_another_way_is_watched_all_the_same(tmp_path: Path, through: str) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "calls")
    # Relative folders begin at the home.
    named = "../calls" if through == "relative" else str(tmp_path / "link")
    with RunningGateway(tmp_path / "home", drop_folder=named, drop_rescan_seconds=3600) as gateway:
        (tmp_path / "calls" / "first.txt").write_text(CALL.format(1))
        wait_for(gateway, 1)
        # By now the look at the start is over; this one is found because the kernel tells.
        (tmp_path / "calls" / "second.txt").write_text(CALL.format(2))
        wait_for(gateway, 2)


def test_a_folder_with_much_to_do_is_left_promptly(gateway: RunningGateway) -> None:
    begun = Meeting()

    def slow(_: Submission) -> None:
        begun.happen()
        time.sleep(0.1)

    gateway.watched.before = slow
    for n in range(200):
        drop(gateway, f"{n}.txt", CALL.format(n))
    begun.wait()
    before = time.monotonic()
    gateway.stop()
    assert time.monotonic() - before < 8
    # What was taken was moved, and what was not is still there.
    assert len(taken(gateway)) == len(done(gateway)) == 200 - len(list(gateway.drop.glob("*.txt"))) < 200


def test_a_folder_that_cannot_be_made_is_told_by_its_setting_and_the_other_doors_close(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match=r"drop\.folder"), RunningGateway(tmp_path, drop_folder=str(tmp_path / "file" / "drop")):
        pass


@dataclass
class Drop:
    """The door without a gateway, and with a clock that is moved by hand."""

    folder: Path
    told: list[str] = field(default_factory=list)
    offered: list[bytes] = field(default_factory=list)
    passed: float = 1_000_000.0

    def __post_init__(self) -> None:
        self.door = PhoneDrop(
            self.accept, lambda: datetime(2026, 11, 23, tzinfo=UTC), lambda verb, **_: self.told.append(verb), DropOptions(self.folder)
        )
        self.door.prepare()

    def accept(self, submission: Submission) -> Receipt:
        self.offered.append(submission.raw)
        return Receipt(len(self.offered), f"TS-{len(self.offered)}")

    def monotonic(self) -> float:
        return self.passed

    def time(self) -> float:
        return self.passed

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        os.utime(path, (self.passed, self.passed))
        return path


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drop:
    made = Drop(tmp_path / "drop")
    monkeypatch.setattr(phone_drop, "time", made)
    return made


def test_a_file_is_taken_when_it_has_been_left_alone_and_not_before(by_hand: Drop) -> None:
    by_hand.write("a.txt", "half")
    for text in ("half", "half and", "half and half"):
        by_hand.write("a.txt", text)
        assert by_hand.door.look() == 0
        by_hand.passed += 0.9
    assert by_hand.door.look() == 0
    by_hand.passed += 0.2
    assert by_hand.door.look() == 1
    assert by_hand.offered == [b"half and half"]
    # What is old was finished before we saw it.
    by_hand.write("b.txt", "old")
    by_hand.passed += 11
    assert by_hand.door.look() == 1


def test_a_writer_that_forgot_its_file_is_not_waited_for_forever(by_hand: Drop) -> None:
    with by_hand.write("a.txt", "text").open("a"):
        by_hand.passed += 100
        assert by_hand.door.look() == 0
        by_hand.passed += 590
        assert by_hand.door.look() == 0
        by_hand.passed += 20
        assert by_hand.door.look() == 1


def test_a_file_that_fails_again_and_again_is_tried_ever_more_seldom(by_hand: Drop) -> None:
    tries: list[float] = []

    def fail(_: Submission) -> Receipt:
        tries.append(by_hand.passed)
        raise TryLater("full", "满", "full")

    by_hand.door.accept = fail
    by_hand.write("a.txt", "text")
    for _ in range(1200):
        by_hand.passed += 0.25
        by_hand.door.look()
    waits = [round(later - earlier) for earlier, later in itertools.pairwise(tries)]
    assert waits[:6] == [1, 2, 4, 8, 16, 30]
    assert set(waits[5:]) == {30}


def test_a_file_that_vanishes_or_changes_during_the_look(by_hand: Drop) -> None:
    real = by_hand.accept

    def meanwhile(submission: Submission) -> Receipt:
        match submission.raw:
            case b"a":
                (by_hand.folder / "b.txt").unlink()
            case b"c":
                (by_hand.folder / "c.txt").unlink()
            case b"d":
                by_hand.write("d.txt", "d and other words")
        return real(submission)

    by_hand.door.accept = meanwhile
    for name in "abcd":
        by_hand.write(f"{name}.txt", name)
    by_hand.passed += 20
    by_hand.door.look()
    assert by_hand.offered == [b"a", b"c", b"d"]
    by_hand.passed += 20
    by_hand.door.look()
    # The words that came while the first ones were committed are taken as well.
    assert by_hand.offered == [b"a", b"c", b"d", b"d and other words"]
    assert by_hand.told == []
    assert not list(by_hand.folder.glob("*.txt"))


def test_our_own_lack_of_file_handles_is_no_fault_of_the_file(by_hand: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand.write("a.txt", "text")
    by_hand.passed += 20

    def too_many(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", too_many)
        assert by_hand.door.look() == 0
    assert by_hand.told == ["Fault"]
    by_hand.passed += 5
    assert by_hand.door.look() == 1


def test_done_that_cannot_be_written_loses_nothing(by_hand: Drop) -> None:
    (by_hand.folder / "done" / "20261123").write_text("in the way")
    by_hand.write("a.txt", "text")
    by_hand.passed += 20
    assert by_hand.door.look() == 0
    assert by_hand.told == ["Fault"]
    (by_hand.folder / "done" / "20261123").unlink()
    by_hand.passed += 5
    assert by_hand.door.look() == 1


def test_two_of_one_name_in_quarantine_lose_nothing(by_hand: Drop) -> None:
    # The clock stands still, so the names differ by their count only.
    for n in range(3):
        (by_hand.folder / "x.txt").symlink_to(f"/nowhere/{n}")
        by_hand.door.look()
    links = [path for path in (by_hand.folder / "quarantine").iterdir() if path.is_symlink()]
    assert sorted(str(link.readlink()) for link in links) == ["/nowhere/0", "/nowhere/1", "/nowhere/2"]


def test_folders_in_folders_without_end(by_hand: Drop) -> None:
    deep = by_hand.folder
    for _ in range(1200):
        deep /= "x"
        deep.mkdir()
    (deep / "call.txt").write_text("deep")
    os.utime(deep / "call.txt", (0, 0))
    assert by_hand.door.look() == 1
    # Deeper than pytest's own clean-up can follow.
    while deep != by_hand.folder:
        deep.rmdir()
        deep = deep.parent


def test_a_folder_that_was_taken_away_is_made_again_and_watched_by_looks(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, drop_rescan_seconds=0.3) as gateway:
        drop(gateway, "a.txt", CALL.format(1))
        wait_for(gateway, 1)
        gateway.drop.rename(tmp_path / "moved away")
        drop(gateway, "b.txt", CALL.format(2))
        eventually(lambda: len(taken(gateway)) == 2)
        assert gateway.running
