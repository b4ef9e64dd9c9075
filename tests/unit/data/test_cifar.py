"""CIFAR-10 and CIFAR-100: the official binary files, where they come from, and what is refused."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.cifar_files import write_cifar
from support.file_server import FileServer, file_server

from edgebll.data import fetch as fetching
from edgebll.data import find_dataset, load_dataset
from edgebll.data.cifar import CIFAR10, CIFAR100, FROM_JPEG, ORIGINAL, UNKNOWN, Cifar, load_cifar
from edgebll.data.download import Limits
from edgebll.data.fetch import fetch
from edgebll.kernel.errors import DataError

BOTH = pytest.mark.parametrize("cifar", [CIFAR10, CIFAR100], ids=["cifar-10", "cifar-100"])
QUICK = Limits(stall_s=5.0, total_s=20.0, attempts=2)


@BOTH
@pytest.mark.parametrize("split", ["train", "test"])
def test_records_are_read(tmp_path: Path, cifar: Cifar, split: str) -> None:
    images, labels = write_cifar(tmp_path / cifar.folder, cifar)[split]
    dataset = load_dataset(cifar.name, split, tmp_path)
    assert (dataset.name, dataset.num_classes, dataset.source) == (cifar.name, cifar.num_classes, UNKNOWN)
    assert dataset.labels.tolist() == labels
    assert dataset.samples.dtype == np.uint8
    assert np.array_equal(dataset.samples.transpose(0, 2, 3, 1), images)
    x = dataset.inputs(np.array([2, 0], np.int64))
    expected = (images[[2, 0]] / 255 - np.array(cifar.mean)) / np.array(cifar.std)
    assert x.dtype == np.float32
    assert np.array_equal(x, expected.astype(np.float32).transpose(0, 3, 1, 2))


def test_the_class_of_cifar_100_is_the_fine_one(tmp_path: Path) -> None:
    write_cifar(tmp_path, CIFAR100)
    assert (tmp_path / "train.bin").read_bytes()[0] == 9
    assert load_dataset("cifar-100", "train", tmp_path).labels.tolist() == [0, 7, 14]


def test_the_source_is_told_by_content(tmp_path: Path) -> None:
    write_cifar(tmp_path, CIFAR10)
    content = {name: (tmp_path / name).read_bytes() for name in CIFAR10.names}
    digests = {
        split: {name: hashlib.sha256(content[name]).hexdigest() for name in names} for split, names in CIFAR10.files.items()
    }
    assert load_cifar(replace(CIFAR10, files=digests), "train", tmp_path).source == ORIGINAL
    labels = bytes((7 * index) % 10 for index in range(15))
    jpeg = replace(CIFAR10, jpeg_labels={"train": hashlib.sha256(labels).hexdigest()})
    assert load_cifar(jpeg, "train", tmp_path).source == FROM_JPEG
    assert load_cifar(jpeg, "test", tmp_path).source == UNKNOWN
    one_pixel = bytearray(content["data_batch_3.bin"])
    one_pixel[-1] ^= 1
    (tmp_path / "data_batch_3.bin").write_bytes(one_pixel)
    assert load_cifar(replace(CIFAR10, files=digests), "train", tmp_path).source == UNKNOWN


@BOTH
def test_files_are_found_in_the_folders_of_the_archives(tmp_path: Path, cifar: Cifar) -> None:
    for folder in (cifar.folder, f"{cifar.name}/{cifar.folder}", "."):
        write_cifar(tmp_path / "a" / folder, cifar, per_file=1)
        assert find_dataset(cifar.name, tmp_path / "a") == tmp_path / "a" / folder
        (tmp_path / "a").rename(tmp_path / f"was-{len(list(tmp_path.iterdir()))}")


@BOTH
@pytest.mark.parametrize("inside", [False, True])
def test_the_pickled_version_is_refused_unread(tmp_path: Path, cifar: Cifar, inside: bool) -> None:
    name = cifar.pickled[-1]
    (tmp_path / name).mkdir() if cifar is CIFAR100 else (tmp_path / name).write_bytes(pickle.dumps({b"data": [1]}))
    with pytest.raises(DataError, match="pickled Python version") as caught:
        load_dataset(cifar.name, "train", tmp_path)
    assert f"edgebll data fetch {cifar.name}" in str(caught.value)
    assert cifar.url in str(caught.value)
    write_cifar(tmp_path / cifar.folder if inside else tmp_path, cifar, per_file=1)
    assert len(load_dataset(cifar.name, "test", tmp_path)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "has 0 bytes"), (b"\0" * 3072, "not a whole number of records of 3073"), (b"\x0a" + b"\0" * 3072, r"lie in 0\.\.9")],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    write_cifar(tmp_path, CIFAR10, per_file=1)
    (tmp_path / "data_batch_4.bin").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_dataset("cifar-10", "train", tmp_path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read.*edgebll data fetch cifar-10"):
        load_cifar(CIFAR10, "train", tmp_path)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server with a small archive, which for the time of the test is the official one."""
    write_cifar(tmp_path / "source", CIFAR100, per_file=2)
    content = {name: (tmp_path / "source" / name).read_bytes() for name in CIFAR100.names}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, data in [*content.items(), ("../outside.txt", b"no")]:
            member = tarfile.TarInfo(f"{CIFAR100.folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    small = replace(
        CIFAR100,
        archive_sha256=hashlib.sha256(archive.getvalue()).hexdigest(),
        files={
            split: {name: hashlib.sha256(content[name]).hexdigest() for name in names}
            for split, names in CIFAR100.files.items()
        },
    )
    monkeypatch.setitem(fetching._ARCHIVES, "cifar-100", small)
    with file_server() as state:
        state.files = {"cifar-100-binary.tar.gz": archive.getvalue()}
        yield state


def test_the_archive_is_fetched_once_and_only_data_files_taken(tmp_path: Path, served: FileServer) -> None:
    served.cut_after = [200]
    url = f"{served.url}cifar-100-binary.tar.gz"
    folder = fetch("cifar-100", tmp_path / "to", url=url, limits=QUICK)
    assert {path.name for path in (tmp_path / "to").rglob("*")} == {CIFAR100.folder, "train.bin", "test.bin"}
    assert folder == find_dataset("cifar-100", tmp_path / "to")
    assert [asked for _, asked in served.requests] == [None, "bytes=200-"]
    fetch("cifar-100", tmp_path / "to", url=url, limits=QUICK)
    assert len(served.requests) == 2


def test_another_archive_is_refused(tmp_path: Path, served: FileServer) -> None:
    served.files["cifar-100-binary.tar.gz"] += b"\0"
    with pytest.raises(DataError, match="SHA-256 differs"):
        fetch("cifar-100", tmp_path / "to", url=f"{served.url}cifar-100-binary.tar.gz", limits=QUICK)
    assert not list((tmp_path / "to").iterdir())
