"""Run folders that somebody removes in mid-run: they are made again, with the whole record, and nobody else's is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebll.kernel.errors import StorageError
from edgebll.kernel.runs.run_folder import RunFolder, open_run
from edgebll.kernel.runs.run_lock import is_locked

CONFIG = {"kind": "simulate", "seed": 3}


def begun(path: Path) -> tuple[RunFolder, list[str]]:
    """A run with one line and one incarnation."""
    said: list[str] = []
    folder = RunFolder.create(path, CONFIG)
    folder.tell = said.append
    folder.record("train", step=0)
    assert folder.next_incarnation() == 1
    return folder, said


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (path / "metrics.jsonl").read_text().splitlines()]


def remove_all(path: Path) -> None:
    shutil.rmtree(path)


def remove_content(path: Path) -> None:
    for each in path.iterdir():
        each.unlink()


def remove_more(path: Path) -> None:
    shutil.rmtree(path.parent)


def leave_what_the_run_makes_itself(path: Path) -> None:
    """An agent or a writer of snapshots may be quicker than whoever makes the folder again."""
    shutil.rmtree(path)
    (path / "boards").mkdir(parents=True)
    (path / "snapshots").mkdir()


@pytest.mark.parametrize("how", [remove_all, remove_content, remove_more, leave_what_the_run_makes_itself])
def test_it_is_made_again_and_the_run_is_whole(tmp_path: Path, how: Callable[[Path], None]) -> None:
    path = tmp_path / "runs" / "a"
    folder, said = begun(path)
    how(path)
    folder.record("train", step=1)
    folder.flush()
    assert is_locked(path)
    again = "it is made again, without what was in it before"
    assert said == [f"{path} was removed, or a part of it, while the run goes on: {again}"]
    folder.record("train", step=2)
    assert folder.next_incarnation() == 2, "boards refuse a number they know"
    folder.finish({"steps": 3})
    assert open_run(path) == (CONFIG, {"steps": 3})
    assert steps(path) == [0, 1, 2]
    assert len(said) == 1
    assert not is_locked(path)


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl"])
def test_a_single_file_is_put_back(tmp_path: Path, name: str) -> None:
    folder, said = begun(tmp_path / "a")
    (tmp_path / "a" / "snapshots").mkdir()
    (tmp_path / "a" / name).unlink()
    folder.finish({})
    assert (open_run(tmp_path / "a")[0], steps(tmp_path / "a"), len(said)) == (CONFIG, [0], 1)
    assert (tmp_path / "a" / "snapshots").is_dir(), "what was not removed is still there"


def test_another_run_that_has_taken_the_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    folder, said = begun(path)
    shutil.rmtree(path)
    (tmp_path / "a.rescued").write_text("something else")
    with RunFolder.create(path, {"kind": "other"}) as other:
        folder.record("train", step=1)
        folder.finish({"steps": 2})
        other.record("train", step=7)
        other.finish({"steps": 8})
    assert open_run(path) == ({"kind": "other"}, {"steps": 8})
    assert steps(path) == [7]
    assert open_run(tmp_path / "a.rescued-2") == (CONFIG, {"steps": 2})
    assert steps(tmp_path / "a.rescued-2") == [0, 1]
    assert said == [f"{path} is something else by now: the run that began there goes on in {tmp_path / 'a.rescued-2'}"]


def test_where_it_cannot_be_made_again_that_is_said_once_and_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a"
    folder, said = begun(path)
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "runs").write_text("")
    for step in (1, 2):
        folder.record("train", step=step)
        folder.flush()
    assert len(said) == 1
    assert said[0].startswith(f"{path} was removed while the run goes on, and is not made again: cannot write {path}")
    with pytest.raises(StorageError, match="cannot write"):
        folder.finish({})
    (tmp_path / "runs").unlink()
    folder.record("train", step=3)
    folder.finish({})
    assert steps(path) == [0, 1, 2, 3], "nothing of the record is lost"


def test_a_resumed_run_has_its_configuration_still(tmp_path: Path) -> None:
    folder, _ = begun(tmp_path / "a")
    folder.close()
    with RunFolder.resume(tmp_path / "a") as again:
        shutil.rmtree(tmp_path / "a")
        assert again.next_incarnation() > 1
        again.finish({})
    assert open_run(tmp_path / "a") == (CONFIG, {})
