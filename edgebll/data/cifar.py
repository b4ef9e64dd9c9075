"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their official "binary version": 60,000 images of 32x32 pixels in 3 colours.

A file is a row of records, one an image:

    CIFAR-10   [class] [1024 red] [1024 green] [1024 blue]                5 training files of 10,000 records, 1 of test data
    CIFAR-100  [superclass] [class] [1024 red] [1024 green] [1024 blue]   1 training file of 50,000 records, 1 of test data

each plane row by row from the top left, every value one byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgebll.data.dataset import Bytes, Dataset, pixel_table
from edgebll.kernel.errors import DataError

_IMAGE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
#: Records of one file, checked before memory is taken; the largest official one has 50,000.
_MAX_RECORDS = 100_000
ORIGINAL, FROM_JPEG, UNKNOWN = "original", "made from JPEG", "not the original files"


@dataclass(frozen=True)
class Cifar:
    """One of the two data sets.

    Attributes:
        url: address of the official archive.
        archive_sha256: its SHA-256, as hexadecimal text.
        archive_bytes: its size.
        folder: the folder it holds.
        files: split -> file name -> SHA-256 of the official file.
        pickled: names that only the official "python version" has.
        label_bytes: before the pixels of a record; the last one is the class.
        mean: of pixel / 255 over the training images, one a channel.
        std: standard deviation of pixel / 255 over the training images, one a channel.
        jpeg_labels: split -> SHA-256 of the classes in order, of images made from JPEG; such files differ in their pixels from
            one JPEG library to the next, but not in their order.
    """

    name: str
    num_classes: int
    url: str
    archive_sha256: str
    archive_bytes: int
    folder: str
    files: Mapping[str, Mapping[str, str]]
    pickled: tuple[str, ...]
    label_bytes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    jpeg_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of all files."""
        return [name for files in self.files.values() for name in files]

    @property
    def record_bytes(self) -> int:
        """Bytes of one record."""
        return self.label_bytes + _PIXELS


CIFAR10 = Cifar(
    name="cifar-10",
    num_classes=10,
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive_sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    archive_bytes=170052171,
    folder="cifar-10-batches-bin",
    files={
        "train": {
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        },
        "test": {"test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
    },
    pickled=("cifar-10-batches-py", "data_batch_1"),
    label_bytes=1,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    jpeg_labels={
        "train": "b84471b23938f9b3871a6efb6808208c25a3cd746c8ff45de412b9f0d58eb502",
        "test": "a054c239a40ee7f2a5745e7e4bc11a51e9cb40c98134b602c1068e6a207487c6",
    },
)
CIFAR100 = Cifar(
    name="cifar-100",
    num_classes=100,
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    archive_sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    archive_bytes=168513733,
    folder="cifar-100-binary",
    files={
        "train": {"train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"},
        "test": {"test.bin": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"},
    },
    pickled=("cifar-100-python",),
    label_bytes=2,
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
)


def is_here(cifar: Cifar, folder: Path) -> bool:
    """Whether all files are in `folder`."""
    return all((folder / name).is_file() for name in cifar.names)


def refusal(cifar: Cifar, folder: Path) -> str:
    """What to do about a pickled version in `folder`, as a sentence; empty where there is none."""
    found = next((folder / name for name in cifar.pickled if (folder / name).exists()), None)
    if found is None:
        return ""
    return (
        f"{found} is the pickled Python version of {cifar.name}, which edgebll never reads, because unpickling runs whatever "
        f"code a file holds; get the binary version with `edgebll data fetch {cifar.name}` or unpack {cifar.url}"
    )


def load_cifar(cifar: Cifar, split: str, folder: Path) -> Dataset:
    """Read a split from the binary files in `folder`; its `source` says whether they are the original ones.

    Raises:
        DataError: a file is missing or damaged.
    """
    parts = [_read(cifar, folder / name) for name in cifar.files[split]]
    labels = np.concatenate([part[:, cifar.label_bytes - 1] for part in parts])
    samples = np.concatenate([part[:, cifar.label_bytes :] for part in parts]).reshape(-1, *_IMAGE)
    digests = [hashlib.sha256(part.data).hexdigest() for part in parts]
    if digests == list(cifar.files[split].values()):
        source = ORIGINAL
    elif hashlib.sha256(labels.data).hexdigest() == cifar.jpeg_labels.get(split):
        source = FROM_JPEG
    else:
        source = UNKNOWN
    table = pixel_table(cifar.mean, cifar.std)
    return Dataset(cifar.name, samples, labels.astype(np.int64), cifar.num_classes, table, source)


def _read(cifar: Cifar, path: Path) -> Bytes:
    """The records of one file: uint8 (N, record_bytes)."""
    try:
        if path.stat().st_size > _MAX_RECORDS * cifar.record_bytes:
            raise DataError(
                f"{path} has more than {_MAX_RECORDS} records, which is none of {cifar.name}; get it with {_fetch(cifar)}"
            )
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); get it with {_fetch(cifar)}") from error
    if content.size == 0 or content.size % cifar.record_bytes:
        raise DataError(
            f"{path} has {content.size} bytes, not a whole number of records of {cifar.record_bytes}; get it again with "
            f"{_fetch(cifar)}"
        )
    return content.reshape(-1, cifar.record_bytes)


def _fetch(cifar: Cifar) -> str:
    return f"`edgebll data fetch {cifar.name}`"
