"""Many processes that write at one place, and what those leave that are killed."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgebll.kernel.bundle import bundle_writer
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import load_key_pair, new_key_pair
from edgebll.kernel.keys.allowed_hosts import allow_host, load_hosts
from edgebll.kernel.support import scratch_files as scratch
from edgebll.kernel.support.atomic_files import write_json
from edgebll.kernel.support.scratch_files import PARTIAL, ScratchFile, folder_lock, scratch_folder, sweep

WRITERS, TURNS = 6, 40


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def together(program: str, *arguments: object) -> list[str]:
    """Errors of processes that all begin when all are ready; each is told its number."""
    processes = [python(program, number, *arguments) for number in range(WRITERS)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[1] for process in processes]


@contextmanager
def killed(program: str, *arguments: object) -> Iterator[None]:
    """Run a program that says "ready" and waits; the body sees it alive, and afterwards it is killed."""
    process = python(program, *arguments)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield
    finally:
        process.kill()
        process.communicate(timeout=20)


WRITE = """
import sys; from pathlib import Path
from edgebll.kernel.support.atomic_files import write_json
number, target, turns = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True); input()
for turn in range(turns):
    write_json(target, {"by": number, "turn": turn, "padding": "x" * 5000})
"""


def test_any_number_of_processes_may_write_one_file(tmp_path: Path) -> None:
    assert together(WRITE, tmp_path / "runs.json", TURNS) == [""] * WRITERS
    assert json.loads((tmp_path / "runs.json").read_text())["turn"] == TURNS - 1
    assert [path.name for path in tmp_path.iterdir()] == ["runs.json"]


EXPORT = """
import sys; from pathlib import Path
from edgebll.kernel.bundle import bundle_writer
number, target, turns = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True); input()
for turn in range(turns):
    with bundle_writer(target) as folder:
        (folder / "manifest.json").write_text(str(number))
        (folder / "other").write_text(str(number))
"""


def test_any_number_of_processes_may_export_one_bundle(tmp_path: Path) -> None:
    """Each as long as it takes; whoever looks sees one of them."""
    assert together(EXPORT, tmp_path / "bundle", TURNS) == [""] * WRITERS
    assert (tmp_path / "bundle" / "manifest.json").read_text() == (tmp_path / "bundle" / "other").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


ALLOW = """
import sys; from pathlib import Path
from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.keys.allowed_hosts import allow_host
pairs = [make_key_pair() for _ in range(5)]
print("ready", flush=True); input()
for turn, pair in enumerate(pairs):
    allow_host(Path(sys.argv[2]), f"host{sys.argv[1]}-{turn}", pair.public)
"""


def test_hosts_that_are_let_in_at_once_are_all_let_in(tmp_path: Path) -> None:
    assert together(ALLOW, tmp_path / "hosts.json") == [""] * WRITERS
    assert len(load_hosts(tmp_path / "hosts.json")) == 5 * WRITERS


HOLD_FILE = """
import sys; from pathlib import Path
from edgebll.kernel.support.scratch_files import ScratchFile
scratch = ScratchFile(Path(sys.argv[1]), "runs.json"); scratch.stream.write(b"half"); scratch.stream.flush()
print("ready", flush=True); input()
"""


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_write_and_a_living_ones_stays(tmp_path: Path) -> None:
    with killed(HOLD_FILE, tmp_path):
        write_json(tmp_path / "runs.json", 1)
        assert len(list(tmp_path.iterdir())) == 2, "somebody still writes"
    write_json(tmp_path / "runs.jsonl", 1)
    assert len(list(tmp_path.iterdir())) == 3, "another file's"
    write_json(tmp_path / "runs.json", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.json", "runs.jsonl"]


HOLD_BUNDLE = """
import os, sys; from pathlib import Path
from edgebll.kernel.support.scratch_files import EARLIER, scratch_folder
with scratch_folder(Path(sys.argv[1]), "bundle") as folder:
    (folder / "manifest.json").write_text("half")
    if sys.argv[2:]: os.replace(Path(sys.argv[1], "bundle"), folder.with_suffix(EARLIER))
    print("ready", flush=True); input()
"""


def export(target: Path, text: str) -> None:
    with bundle_writer(target) as folder:
        (folder / "manifest.json").write_text(text)


def test_what_a_killed_export_left_goes_with_the_next_one(tmp_path: Path) -> None:
    export(tmp_path / "bundle", "first")
    with killed(HOLD_BUNDLE, tmp_path):
        export(tmp_path / "bundle", "second")
        assert len(list(tmp_path.iterdir())) == 3, "a folder, its lock and the bundle"
    export(tmp_path / "bundle", "third")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_the_only_whole_bundle_stays_until_there_is_another(tmp_path: Path) -> None:
    export(tmp_path / "bundle", "first")
    with killed(HOLD_BUNDLE, tmp_path, "moved"):
        pass

    def fail() -> None:
        with bundle_writer(tmp_path / "bundle"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.read_text() for path in tmp_path.glob(".*/manifest.json")] == ["first"]
    export(tmp_path / "bundle", "second")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_one_that_is_swept_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between making and locking a file any other process may look."""
    real = scratch.lock
    made: list[Path] = []

    def swept(descriptor: int) -> bool:
        made.extend(tmp_path.iterdir())
        if len(made) == 1:
            sweep(tmp_path, "file")
            assert not made[0].exists()
        return real(descriptor)

    monkeypatch.setattr(scratch, "lock", swept)
    with ScratchFile(tmp_path, "file") as file:
        assert file.path == made[1]
        file.place(tmp_path / "file")
    assert len(made) == 2


def test_without_locks_what_was_touched_within_a_day_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on network mounts with nolock, of which there is none here: flock says that there are no locks."""

    def unknown(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    made = [ScratchFile(tmp_path, "file") for _ in range(2)]
    os.utime(made[0].path, (1e9, 1e9))
    with folder_lock(tmp_path):
        sweep(tmp_path, "file")
    assert list(tmp_path.iterdir()) == [made[1].path]
    for file in made:
        file.discard()


def test_a_scratch_folder_goes_with_its_lock_whatever_happens(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path, "folder") as folder:
            (folder / "file").write_text("")
            assert folder.suffix == PARTIAL
            raise OSError("x")

    with pytest.raises(OSError, match="x"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_new_key_never_takes_the_place_of_one_and_is_never_seen_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    for links in (os.link, no_links):
        monkeypatch.setattr(os, "link", links)
        path = tmp_path / f"{links.__name__}.key"
        pair = new_key_pair(path)
        with pytest.raises(ConfigError, match="exists already"):
            new_key_pair(path)
        assert load_key_pair(path) == pair
    assert len(list(tmp_path.iterdir())) == 2
    allow_host(tmp_path / "hosts.json", "a", pair.public)
