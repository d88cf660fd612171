"""Transcripts with their sidecars and recordings in the drop folder: whatever the order, one call, and nothing lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import eventually
from running import RunningGateway

from connectors import phone_drop
from connectors.call_data import CallData, http_link, read, sidecar
from connectors.call_files import Neighbours
from models.submission import Channel

CALL = "客服：您好，请讲。\n客户：我家厨房漏水，报修一个月没人来。\n"
META = {
    "call_id": "c-77",
    "start_time": "2026-11-20 09:30:00",
    "caller": "139 0000 1234",
    "agent": "坐席 07",
    "recording_url": "https://rec.example/c-77.wav",
}
FOUND = {
    "id": "c-77",
    "started_at": "2026-11-20T01:30:00+00:00",
    "caller": "13900001234",
    "agent": "坐席 07",
    "recording": "https://rec.example/c-77.wav",
}


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningGateway]:
    monkeypatch.setattr(phone_drop, "_LOOK_MS", 50)
    with RunningGateway(
        tmp_path, drop_settle_seconds=0.05, drop_rescan_seconds=3600, drop_sidecar_wait_seconds=0.6, drop_transcript_wait_seconds=1.2
    ) as running:
        yield running


def put(gateway: RunningGateway, name: str, text: str) -> None:
    target = gateway.drop / name
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    unfinished.write_text(text, "utf-8")
    unfinished.rename(target)


def done(gateway: RunningGateway) -> list[str]:
    """The names of what was taken, without what stands before them."""
    return sorted(path.name.split("-", 4)[4] for path in (gateway.drop / "done").glob("*/*"))


def aside(gateway: RunningGateway) -> dict[str, str]:
    reasons = (gateway.drop / "quarantine").glob("*.reason.txt")
    return {one.name.removesuffix(".reason.txt").split("-", 2)[2]: one.read_text("utf-8").split("\n")[0] for one in reasons}


def calls(gateway: RunningGateway) -> list[dict]:
    return [dict(one.envelope) for one in gateway.committed(Channel.PHONE)]


@pytest.mark.parametrize(
    "order", [("call.txt", "call.json"), ("call.json", "call.txt"), ("call.txt.json", "call.txt"), ("call.meta.json", "call.txt")]
)
def test_a_sidecar_goes_with_its_transcript_in_either_order(gateway: RunningGateway, order: tuple[str, str]) -> None:
    for name in order:
        put(gateway, name, CALL if name.endswith(".txt") else json.dumps(META))
        time.sleep(0.2)
    eventually(lambda: len(done(gateway)) == 2)
    (one,) = calls(gateway)
    assert one["call"] == FOUND
    assert json.loads(one["sidecar"]) == META
    assert aside(gateway) == {}


def test_a_speech_services_json_with_a_sidecar_in_a_folder_of_a_call_centre(gateway: RunningGateway) -> None:
    put(gateway, "north/77.meta.json", json.dumps({"主叫号码": "13900001234", "坐席工号": "07"}))
    put(gateway, "north/77.json", json.dumps({"text": "", "segments": [{"text": "我家厨房漏水没人来修", "start": 0.5, "end": 3.0}]}))
    put(gateway, "north/77.wav", "RIFF")
    eventually(lambda: len(done(gateway)) == 3)
    (one,) = calls(gateway)
    assert one["call"] == {"caller": "13900001234", "agent": "07", "centre": "north"}
    assert aside(gateway) == {}


def test_a_recording_with_a_sidecar_and_no_transcript_is_to_be_called_back(gateway: RunningGateway) -> None:
    put(gateway, "c.wav", "RIFF" * 1000)
    put(gateway, "c.json", json.dumps(META))
    eventually(lambda: len(done(gateway)) == 2)
    (one,) = gateway.committed()
    # The recording itself is not taken into the store.
    assert json.loads(one.raw) == META
    assert one.envelope["no_transcript"] is True
    # A transcript that comes later is no duplicate.
    put(gateway, "c.txt", CALL)
    eventually(lambda: len(calls(gateway)) == 2)


def test_what_waits_in_vain_is_set_aside_with_its_reason_and_nothing_else_waits_for_it(gateway: RunningGateway) -> None:
    put(gateway, "alone.json", json.dumps({"call_id": "c-78", "caller": "13900001234"}))
    put(gateway, "alone.wav.part2.wav", "RIFF")
    put(gateway, "other.txt", CALL)
    eventually(lambda: "other.txt" in done(gateway))
    assert aside(gateway) == {}
    eventually(lambda: len(aside(gateway)) == 2)
    assert aside(gateway) == {"alone.json": "sidecar_without_transcript", "alone.wav.part2.wav": "recording_without_transcript"}


def test_two_calls_with_the_same_words_and_other_numbers_are_two(gateway: RunningGateway) -> None:
    for n in (1, 2):
        put(gateway, f"{n}.json", json.dumps(META | {"call_id": f"c-{n}", "caller": f"1390000123{n}"}))
        put(gateway, f"{n}.txt", CALL)
    eventually(lambda: len(done(gateway)) == 4)
    assert len(set(gateway.numbers())) == 2


def test_an_unknown_json_is_no_sidecar() -> None:
    assert sidecar(b'{"id": 7, "lines": ["a"]}') is None
    assert sidecar(b'{"segments": [{"text": "a", "start": 1}], "caller": "13900001234"}') is None
    assert sidecar(b'["caller"]') is None
    assert sidecar(b"{") is None
    assert sidecar(json.dumps(META).encode("utf-16")) == META


@pytest.mark.parametrize(
    ("link", "good"),
    [
        ("https://rec.example/a.wav?x=1&y=2", True),
        ("http://10.0.0.5:8080/录音/1.wav", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//rec.example/a", False),
        ("https://", False),
        ("https://user:pw@rec.example/a", False),
        ("https://rec.example/a b", False),
        ("https://rec.example/\u202ea", False),
        ("https://rec.example/a\nb", False),
        ("https://rec.example:0/", False),
        ("https://[::1", False),
        ("https://rec.example/" + "a" * 3000, False),
        (7, False),
    ],
)
def test_only_plain_links_of_the_web_are_kept(link: object, good: bool) -> None:
    assert http_link(link) == (link if good else None)


def test_fields_of_every_kind_are_read_and_nonsense_is_left_out() -> None:
    assert read({"direction": "outbound", "from": "02588880000", "to": "13900001234"}).caller == "13900001234"
    assert read({"timestamp": 1763600000}).started_at is not None
    assert read({"timestamp": "1763600000000"}).started_at == read({"timestamp": 1763600000}).started_at
    assert read({"Caller": "x" * 90, "agent": "a\x00\u202eb" + "c" * 99, "time": 10**30, "id": True, "recording": ["x"]}) == CallData(
        agent="ab" + "c" * 58
    )


def test_neighbours_know_one_another() -> None:
    near = Neighbours(["a.txt", "a.json", "a.wav", "b.txt", "b.txt.json", "c.meta.json", "c.json", "d.json"])
    assert near.sidecars("a.txt") == ["a.json"]
    assert near.sidecars("b.txt") == ["b.txt.json"]
    assert near.sidecars("c.json") == ["c.meta.json"]
    assert near.recordings("a.txt") == ["a.wav"]
    assert near.partners("a.json") == ["a.txt", "a.wav"]
    assert near.partners("b.txt.json") == ["b.txt"]
    assert near.partners("c.meta.json") == ["c.json"]
    assert near.partners("d.json") == []


def test_an_archive_is_never_unpacked_and_parked_with_its_reason(gateway: RunningGateway) -> None:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../x.txt", "客户：我家漏水\n" * 100_000)
    (gateway.drop / "calls.zip.part").write_bytes(packed.getvalue())
    (gateway.drop / "calls.zip.part").rename(gateway.drop / "calls.zip")
    eventually(lambda: gateway.log("Parked"))
    assert gateway.log("Parked")[0]["code"] == "not_text"
    assert [one.raw for one in gateway.committed()] == [packed.getvalue()]
