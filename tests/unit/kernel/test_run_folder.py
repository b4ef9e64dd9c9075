"""Run folders: what is written, what is refused, and that no run is ever lost."""

from __future__ import annotations

import fcntl
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgebll.kernel.errors import BundleError, StorageError
from edgebll.kernel.runs.run_folder import RunFolder, open_run, read_config
from edgebll.kernel.runs.run_lock import is_locked, lock_folder


def whole_run(path: Path, name: str = "first") -> None:
    with RunFolder.create(path, {"name": name}) as folder:
        folder.record("train", epoch=0, step=1, block="block0", loss=1.5)
        folder.finish({"accuracy": 0.5})


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_a_whole_run_reads_back(tmp_path: Path) -> None:
    whole_run(tmp_path / "deep" / "run")
    assert open_run(tmp_path / "deep" / "run") == ({"name": "first"}, {"accuracy": 0.5})
    assert lines(tmp_path / "deep" / "run") == [{"kind": "train", "epoch": 0, "step": 1, "block": "block0", "loss": 1.5}]


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", {}) as folder:
        folder.record("train", loss=math.nan, terms=[math.inf, 1.0])
        folder.finish({"loss": -math.inf, "by_block": {"block0": math.nan}})
    assert lines(tmp_path / "run") == [{"kind": "train", "loss": None, "terms": [None, 1.0]}]
    assert open_run(tmp_path / "run")[1] == {"loss": None, "by_block": {"block0": None}}


def test_an_unfinished_run_is_not_whole(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", {"a": 1}) as folder:
        folder.record("eval", accuracy=0.5)
    with pytest.raises(BundleError, match="did not finish"):
        open_run(tmp_path / "run")
    assert read_config(tmp_path / "run") == {"a": 1}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_run_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "photo.jpg").write_text("precious")
    with pytest.raises(StorageError, match="is not a run"):
        RunFolder.create(tmp_path, {}, overwrite=overwrite)
    assert (tmp_path / "photo.jpg").read_text() == "precious"


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError, match="is not a run"):
        RunFolder.create(tmp_path / "run", {}, overwrite=True)


def test_a_whole_run_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    whole_run(tmp_path / "run")
    with pytest.raises(StorageError, match="--overwrite"):
        RunFolder.create(tmp_path / "run", {})
    assert open_run(tmp_path / "run")[0] == {"name": "first"}


def test_overwriting_keeps_the_old_run_until_the_new_one_is_whole(tmp_path: Path) -> None:
    run, previous = tmp_path / "run", tmp_path / "run.previous"
    whole_run(run)
    for name in ("second", "third"):  # two attempts that fail
        with RunFolder.create(run, {"name": name}, overwrite=True) as folder:
            assert folder.previous == previous
        assert open_run(previous)[0] == {"name": "first"}
    with RunFolder.create(run, {"name": "fourth"}, overwrite=True) as folder:
        folder.finish({})
    assert open_run(run)[0] == {"name": "fourth"}
    assert not previous.exists()


def test_an_unfinished_run_with_a_checkpoint_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", {"name": "first"}).close()
    (tmp_path / "run" / "checkpoint").mkdir()
    with pytest.raises(StorageError, match="--resume"):
        RunFolder.create(tmp_path / "run", {})
    RunFolder.create(tmp_path / "run", {"name": "second"}, overwrite=True).close()
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_an_unfinished_run_without_a_checkpoint_is_replaced(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", {"name": "first"}).close()
    RunFolder.create(tmp_path / "run", {"name": "second"}).close()
    assert read_config(tmp_path / "run") == {"name": "second"}


def test_two_writers_of_one_run_are_refused(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", {}):
        for attempt in (
            lambda: RunFolder.create(tmp_path / "run", {}, overwrite=True),
            lambda: RunFolder.resume(tmp_path / "run"),
        ):
            with pytest.raises(StorageError, match="another process"):
                attempt()
    RunFolder.create(tmp_path / "run", {}).close()


def test_whether_somebody_writes_can_be_asked(tmp_path: Path) -> None:
    assert is_locked(tmp_path / "run") is None
    with RunFolder.create(tmp_path / "run", {}):
        assert is_locked(tmp_path / "run")
    assert is_locked(tmp_path / "run") is False


def test_who_only_asks_keeps_nobody_from_writing(tmp_path: Path) -> None:
    asker = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(asker, fcntl.LOCK_SH)
    assert is_locked(tmp_path) is False, "nor from asking"
    end = threading.Timer(0.1, os.close, [asker])
    end.start()
    lock = lock_folder(tmp_path)
    end.join()
    assert is_locked(tmp_path)
    os.close(lock)


def test_resuming_forgets_metrics_beyond_the_checkpoint(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", {}) as folder:
        folder.record("train", step=1)
        size = folder.sync()
        folder.record("train", step=2)
    with RunFolder.resume(tmp_path / "run", size) as folder:
        folder.record("train", step=2, again=True)
        assert folder.sync() > size
        folder.finish({})
    assert lines(tmp_path / "run") == [{"kind": "train", "step": 1}, {"kind": "train", "step": 2, "again": True}]


@pytest.mark.parametrize("left", [None, 20, 45])
def test_a_record_that_is_damaged_is_gone_on_with(tmp_path: Path, left: int | None) -> None:
    """What was computed does not depend on it. Lines stay whole."""
    with RunFolder.create(tmp_path / "run", {}) as folder:
        folder.record("train", step=1)
        folder.record("train", step=2)
        size = folder.sync()
    path = tmp_path / "run" / "metrics.jsonl"
    path.unlink() if left is None else os.truncate(path, left)
    with RunFolder.resume(tmp_path / "run", size) as folder:
        assert folder.damage is not None
        assert f"{size - (left or 0)} bytes of {path} are gone" in folder.damage
        folder.rewind(folder.flush())
        assert folder.damage is None
        folder.record("train", step=3)
    assert [line.get("step") for line in lines(tmp_path / "run")] == ([1, None, 3] if left == 45 else [None, 3])
    with RunFolder.resume(tmp_path / "run", size) as folder:  # the snapshot of before still fits
        assert folder.damage is None
        folder.record("train", step=3)
    assert [line.get("step") for line in lines(tmp_path / "run")] == ([1, None, 3] if left == 45 else [None, 3])


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b'{"incarnation": "3"}', b'{"incarnation": -1}', b'{"incarnation": 1e30}']
)
def test_a_number_of_incarnations_that_was_lost_is_followed_by_one_surely_higher(tmp_path: Path, content: bytes | None) -> None:
    with RunFolder.create(tmp_path / "run", {}) as folder:
        assert [folder.next_incarnation() for _ in range(3)] == [1, 2, 3]
    path = tmp_path / "run" / "incarnation.json"
    path.unlink() if content is None else path.write_bytes(content)
    with RunFolder.resume(tmp_path / "run") as folder:
        number = folder.next_incarnation()
        assert number > 1_000_000
        assert folder.next_incarnation() == number + 1


def test_resuming_needs_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a run folder"):
        RunFolder.resume(tmp_path)
    whole_run(tmp_path / "whole")
    with pytest.raises(BundleError, match="nothing to resume"):
        RunFolder.resume(tmp_path / "whole")


@pytest.mark.parametrize(("content", "reason"), [(b"{", "not JSON"), (b"[1]", "JSON object"), (b"\xff\xfe{", "not JSON")])
def test_a_damaged_run_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    whole_run(tmp_path / "run")
    for name in ("summary.json", "run.json"):
        (tmp_path / "run" / name).write_bytes(content)
        with pytest.raises(BundleError, match=reason):
            open_run(tmp_path / "run")


def test_a_missing_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(BundleError, match="not a run folder"):
            open_run(path)


FILL = """
import sys
from pathlib import Path
from edgebll.kernel.errors import StorageError
from edgebll.kernel.runs.run_folder import RunFolder
try:
    with RunFolder.create(Path(sys.argv[1]), {"name": "second"}, overwrite=True) as folder:
        for step in range(100000):
            folder.record("train", step=step, text="x" * 100)
        folder.finish({})
except StorageError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_ends_in_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    whole_run(tmp_path / "run")
    limited = ["sh", "-c", 'ulimit -f 64; exec "$@"', "sh", sys.executable, "-c", FILL, str(tmp_path / "run")]
    result = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith(f"cannot write {tmp_path / 'run' / 'metrics.jsonl'}")
    assert len(result.stderr.splitlines()) == 1
    with pytest.raises(BundleError, match="did not finish"):
        open_run(tmp_path / "run")
    assert open_run(tmp_path / "run.previous")[0] == {"name": "first"}
