"""Texts: windows of bytes, what is held out, which files are read, and what is refused."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from support.command_calls import call

from edgebll.data import Dataset, load_data, load_dataset
from edgebll.data.corpora import CORPORA
from edgebll.data.dataset_places import dataset_places
from edgebll.data.fetch import fetch
from edgebll.data.registry import recorded_options, settled_name
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks import NextByte


def counting(length: int) -> bytes:
    """A text of which any eight bytes occur once: numbers of eight digits, one after another."""
    return "".join(f"{number:08x}" for number in range(length // 8)).encode()


def places(text: bytes, split: Dataset) -> list[tuple[int, int]]:
    """Where the windows of a split, with the byte that follows each, begin and end in the text."""
    found = []
    for row in range(len(split)):
        x, y = split.samples[np.array([row])][0], split.labels[np.array([row])][0]
        assert y[:-1].tolist() == x[1:].tolist(), "labels are the bytes that follow"
        window = bytes([*x.tolist(), int(y[-1])])
        assert text.count(window) == 1
        found.append((text.index(window), text.index(window) + len(window)))
    return sorted(found)


def test_no_window_of_one_part_reaches_into_the_other(tmp_path: Path) -> None:
    text = counting(8000)
    (tmp_path / "book.txt").write_bytes(text)
    options = {"context": 24, "stride": 5, "test": 0.25}
    train, test = load_data(f"bytes:{tmp_path / 'book.txt'}", options=options).splits
    learnt, held_out = places(text, train), places(text, test)
    assert (train.task, train.num_classes, train.input_shape, train.outputs) == (NextByte(), 256, (24, 256), (24, 256))
    covered = set[int]().union(*(range(*window) for window in learnt))
    assert covered.isdisjoint(itertools.chain.from_iterable(range(*window) for window in held_out))
    assert all(second >= first + 24 for (first, _), (second, _) in itertools.pairwise(held_out))
    steps = {second - first for (first, _), (second, _) in itertools.pairwise(learnt)}
    assert min(steps) == 5, "training windows begin every stride bytes"
    assert 0.2 < len(held_out) * 24 / 8000 < 0.3
    again = load_dataset(str(tmp_path / "book.txt"), "test", options=options)
    assert np.array_equal(again.samples[np.arange(9)], test.samples[np.arange(9)]), "the same without bytes: before .txt"
    other = load_dataset(str(tmp_path / "book.txt"), "test", options={**options, "split_seed": 1})
    assert places(text, other) != held_out


def test_samples_are_bytes_as_the_network_takes_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(range(256)) * 4)
    train = load_dataset(str(tmp_path / "a.txt"), "train", limit=3, options={"context": 16})
    indices = np.arange(3)
    x, tokens = train.inputs(indices), train.as_dtype("uint8").inputs(indices)
    assert (x.shape, x.dtype, tokens.dtype) == ((3, 16, 256), np.float32, np.uint8)
    assert np.array_equal(x.argmax(-1), tokens)
    assert np.array_equal(x.sum(-1), np.ones((3, 16)))
    y = train.targets(indices)
    assert np.array_equal(y.argmax(-1)[:, :-1], tokens[:, 1:])


def test_a_folder_is_all_its_files_and_no_window_crosses_two(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name, byte in {"a": b"a", "deep/b": b"b", ".hidden/c": b"c", "deep/.d": b"d", "empty": b""}.items():
        (folder / name).write_bytes(byte * (400 if byte else 0))
    loaded = load_data(f"bytes:{folder}", options={"context": 10})
    seen = {bytes(row.astype(np.uint8)) for split in loaded.splits for row in split.samples[np.arange(len(split))]}
    assert seen == {b"a" * 10, b"b" * 10}
    (folder / "a").write_bytes(b"z" * 400)
    with pytest.raises(DataError, match="have changed since the training began"):
        load_data(loaded.name, options=loaded.options)
    anew = recorded_options(f"bytes:{folder / 'a'}", loaded.options, {})
    assert (anew["context"], "digest" in anew) == (10, False)


def test_what_comes_packed_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the corpus is, which is found by its name in a data folder."""
    monkeypatch.setenv("EDGEBLL_DATA", str(tmp_path))
    place = tmp_path / "jargon" / CORPORA["jargon"].file.name
    place.parent.mkdir()
    place.write_bytes(gzip.compress(counting(2000)))
    split = load_dataset("bytes:jargon", "test", options={"context": 24})
    assert places(counting(2000), split)
    assert settled_name("bytes:jargon") == "bytes:jargon"
    (row,) = [row for row in dataset_places() if row["name"] == "bytes:jargon"]
    assert (row["found"], row["where"]) == (True, str(place))
    place.write_bytes(place.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"jargon\.txt\.gz cannot be read \(.*\); check its permissions, or give another"):
        load_dataset("bytes:jargon", "test")
    with pytest.raises(ConfigError, match=r"not downloaded by edgebll: on Debian and Ubuntu `apt install jargon-text`"):
        fetch("jargon")


def test_names_mean_the_same_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settled_name("bytes:notes.csv") == f"bytes:{tmp_path}/notes.csv"
    (tmp_path / "notes.csv").write_bytes(b"x,y\n" * 200)
    assert len(load_data("bytes:notes.csv", options={"context": 8}).train), "whatever it looks like"


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, r"notes has 0 bytes, but a sample needs 129; give a longer text, or lower the data option context"),
        (b"x" * 128, {}, "notes has 128 bytes, but a sample needs 129"),
        (b"x" * 129, {}, "has no test samples: it is too short to be split"),
        (b"x" * 999, {"context": 0}, "context must be at least 1 byte and stride not negative, not 0 and 0"),
        (b"x" * 999, {"normalize": "yes"}, "a text has no data option normalize: its labels are the bytes themselves"),
        (b"x" * 999, {"test": 0.0}, "has no test samples: .* the data option test, 0, leaves none"),
        (b"x" * 999, {"size": 3}, "has no data option 'size'; it has test, split_seed"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, options: dict[str, object], message: str) -> None:
    (tmp_path / "notes").write_bytes(content)
    with pytest.raises((ConfigError, DataError), match=message):
        load_data(f"bytes:{tmp_path / 'notes'}", options=options)


def test_a_place_without_texts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=f"there is no text at {tmp_path}/none; give a file or a folder that exists"):
        load_data(f"bytes:{tmp_path}/none")
    with pytest.raises(DataError, match="has no files; give one with texts in it"):
        load_data(f"bytes:{tmp_path}")
    with pytest.raises(DataError, match="there is no place behind bytes:; give a file or a folder"):
        load_data("bytes:")
    assert "no place behind bytes:" in call("data", "check", "bytes:", code=DataError.exit_code).stderr
    os.mkfifo(tmp_path / "pipe.txt")  # opening it would wait for a writer for ever
    for endless in (tmp_path / "pipe.txt", Path("/dev/zero")):
        with pytest.raises(DataError, match=f"{endless} is no ordinary file; give a file, or a folder of files"):
            load_data(f"bytes:{endless}")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(DataError, match="gone is a link that leads nowhere; mend or remove it"):
        load_data(f"bytes:{tmp_path}")
    closed = tmp_path / "closed.txt"
    closed.write_bytes(b"x" * 999)
    closed.chmod(0)
    tmp_path.chmod(0o700)
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(54321)  # whom no mode forbids anything becomes somebody else
    try:
        with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
            load_data(str(closed))
    finally:
        os.seteuid(mine)
