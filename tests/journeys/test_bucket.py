"""A bucket as a way in, against a real S3 server (moto's) on the loopback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from fakes import eventually
from moto.server import ThreadedMotoServer
from obstore.store import S3Store
from running import RunningGateway

from connectors.bucket import BucketDoor
from models.errors import BadSetting
from models.submission import Channel, Submission

KEYS = "AKIDEXAMPLE\nsecret-of-nobody\n"
CALL = "客服：您好。\n客户：我家阳台渗水，第{}次报修了。\n"
META = {"call_id": "b-{}", "caller": "1394444000{}", "recording": "https://rec.example/{}.wav"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


class Bucket:
    """A bucket of its own for each test, and a gateway that looks into it."""

    def __init__(self, server: str, name: str, home: Path) -> None:
        import urllib.request

        self.server, self.name, self.home = server, name, home
        # Any signature will do for the server's own bookkeeping.
        urllib.request.urlopen(urllib.request.Request(f"{server}/{name}", method="PUT"), timeout=20).close()
        keys: dict[str, Any] = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "x", "endpoint": server, "region": "us-east-1"}
        self.store = S3Store(name, config=keys, client_options={"allow_http": True})
        (home / "secrets").mkdir(parents=True, mode=0o700)
        (home / "secrets" / "bucket.keys").write_text(KEYS)

    def gateway(self, **more: object) -> RunningGateway:
        settings = {"enabled": "true", "endpoint": self.server, "name": self.name, "prefix": "calls/", "poll_seconds": 0.2} | more
        return RunningGateway(
            self.home,
            drop_enabled="false",
            smtp_enabled="false",
            drop_transcript_wait_seconds=1,
            **{f"bucket_{key}": value for key, value in settings.items()},
        )

    def put(self, key: str, text: str) -> None:
        obstore.put(self.store, key, text.encode())

    def listed(self) -> list[str]:
        return sorted(meta["path"] for chunk in obstore.list(self.store) for meta in chunk)


@pytest.fixture
def bucket(server: str, tmp_path: Path) -> Bucket:
    return Bucket(server, f"b-{tmp_path.name.replace('_', '-')[-40:]}", tmp_path)


def taken(gateway: RunningGateway) -> list[Submission]:
    return gateway.committed(Channel.PHONE)


def test_objects_that_stay_are_taken_once_also_after_a_restart_and_again_when_they_change(bucket: Bucket) -> None:
    for n in range(3):
        bucket.put(f"calls/{n}.txt", CALL.format(n))
    bucket.put("elsewhere/x.txt", CALL.format(9))
    with bucket.gateway() as gateway:
        eventually(lambda: len(taken(gateway)) == 3)
        assert taken(gateway)[0].envelope == {"door": "bucket", "file_name": "calls/0.txt"}
    with bucket.gateway() as gateway:
        bucket.put("calls/north/4.txt", CALL.format(4))
        bucket.put("calls/0.txt", CALL.format(5))
        eventually(lambda: len(taken(gateway)) == 5)
        assert gateway.log("Duplicate") == []
        assert taken(gateway)[-1].envelope.get("call", {}) in ({}, {"centre": "north"})
    assert len(bucket.listed()) == 5


@pytest.mark.parametrize(("after", "left"), [("move", 2), ("delete", 0)])
def test_objects_with_sidecars_are_moved_or_deleted_after_commit(bucket: Bucket, after: str, left: int) -> None:
    meta = {key: value.format(1) for key, value in META.items()}
    bucket.put("calls/1.json", json.dumps(meta))
    bucket.put("calls/1.txt", CALL.format(1))
    with bucket.gateway(after=after) as gateway:
        eventually(lambda: taken(gateway))
        eventually(lambda: not [key for key in bucket.listed() if not key.startswith("calls/done/")])
        (one,) = taken(gateway)
        assert one.envelope["call"] == {"id": "b-1", "caller": "13944440001", "recording": "https://rec.example/1.wav"}
        number = gateway.numbers()[0]
    assert len(bucket.listed()) == left
    assert all(number in key for key in bucket.listed())


def test_a_recording_with_a_sidecar_is_a_call_to_be_called_back_and_is_never_fetched(bucket: Bucket) -> None:
    bucket.put("calls/1.wav", "RIFF" * 1000)
    bucket.put("calls/1.json", json.dumps({key: value.format(1) for key, value in META.items()}))
    bucket.put("calls/2.json", json.dumps({"call_id": "b-2", "caller": "13944440002"}))
    with bucket.gateway() as gateway:
        (one,) = eventually(lambda: taken(gateway))  # type: ignore[misc]
        assert one.envelope["no_transcript"] is True
        eventually(lambda: gateway.log("Quarantined"))
        assert gateway.log("Quarantined")[0]["code"] == "sidecar_without_transcript"
        assert len(taken(gateway)) == 1


def test_a_large_object_is_passed_over_once_and_the_others_go_on(bucket: Bucket) -> None:
    bucket.put("calls/a.txt", "x" * 20_000)
    bucket.put("calls/b.txt", CALL.format(1))
    with bucket.gateway(max_bytes=10_000) as gateway:
        eventually(lambda: taken(gateway))
        bucket.put("calls/c.txt", CALL.format(2))
        eventually(lambda: len(taken(gateway)) == 2)
        assert len(gateway.log("Quarantined")) == 1


def test_a_crash_between_commit_and_ledger_makes_no_second_complaint(bucket: Bucket) -> None:
    bucket.put("calls/a.txt", CALL.format(1))
    with bucket.gateway() as gateway:

        def fail(_: Submission) -> None:
            gateway.watched.after = lambda _: None
            raise ConnectionError

        # The first look may have come before this.
        gateway.watched.after = fail
        bucket.put("calls/b.txt", CALL.format(2))
        eventually(lambda: len(gateway.log("Duplicate")) == 1 and len(taken(gateway)) == 2)


def test_a_bucket_that_is_away_is_told_once_and_comes_back(bucket: Bucket) -> None:
    with bucket.gateway() as gateway:
        told: list[str] = []
        away = BucketDoor(
            gateway.app.accept, gateway.app.clock.now, lambda verb, **_: told.append(verb), _Nothing(), _options(bucket, "b-none")
        )
        assert away.look() == away.look() == 0
        assert told == ["BucketAway"]
        away.options = _options(bucket, bucket.name)
        away._store = None
        away.look()
        assert told == ["BucketAway", "BucketBack"]


def _options(bucket: Bucket, name: str) -> Any:
    from connectors.bucket import BucketOptions

    return BucketOptions(name=name, endpoint=bucket.server, keys=("a", "b"))


class _Nothing:
    def known(self, places: Any) -> dict[str, str]:
        return {}

    def remember(self, place: str, version: str, at: Any) -> None:
        pass


def test_a_keys_file_that_is_none_is_told_by_its_setting(bucket: Bucket) -> None:
    (bucket.home / "secrets" / "bucket.keys").write_text("only one line")
    with pytest.raises(BadSetting, match=r"bucket\.keys_file"), bucket.gateway():
        pass
