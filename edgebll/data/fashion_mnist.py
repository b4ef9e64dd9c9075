"""Fashion-MNIST (Xiao et al. 2017): 60,000 and 10,000 images of 28x28 pixels, 10 classes, as four IDX files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebll.data.dataset import Dataset, pixel_table
from edgebll.data.idx import read_idx
from edgebll.kernel.errors import DataError

NAME = "fashion-mnist"
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
SIDE = 28
#: Mean and standard deviation of pixel / 255 over the training images.
MEAN, STD = 0.2860, 0.3530


@dataclass(frozen=True)
class IdxFile:
    """One of the four files.

    Attributes:
        name: without ".gz".
        sha256: of the decompressed content, so that every way of compressing it is as good.
        size_bytes: of the decompressed content.
    """

    name: str
    sha256: str
    size_bytes: int


#: Split -> (images, labels). The digests are those of the official files (whose .gz have the published MD5 sums).
FILES: dict[str, tuple[IdxFile, IdxFile]] = {
    "train": (
        IdxFile("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 47040016),
        IdxFile("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60008),
    ),
    "test": (
        IdxFile("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 7840016),
        IdxFile("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10008),
    ),
}


def find_file(folder: Path, name: str) -> Path | None:
    """The file `name`, plain or as .gz, in `folder`."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def is_here(folder: Path) -> bool:
    """Whether all four files are in `folder`."""
    return all(find_file(folder, file.name) for pair in FILES.values() for file in pair)


def load_fashion_mnist(split: str, folder: Path) -> Dataset:
    """Read a split from the IDX files in `folder`.

    Raises:
        DataError: a file is missing, damaged or of the wrong shape.
    """
    arrays = []
    for file in FILES[split]:
        path = find_file(folder, file.name)
        if path is None:
            raise DataError(f"{folder} lacks {file.name}.gz; get it with `edgebll data fetch {NAME} --to {folder}`")
        arrays.append(read_idx(path))
    pixels, labels = arrays
    if pixels.ndim != 3 or pixels.shape[1:] != (SIDE, SIDE) or labels.shape != pixels.shape[:1]:
        raise DataError(
            f"{folder}: expected images (N, {SIDE}, {SIDE}) with N labels, found {pixels.shape} and {labels.shape}; "
            f"get the files again with `edgebll data fetch {NAME}`"
        )
    return Dataset(NAME, pixels[:, None], labels.astype(np.int64), 10, pixel_table((MEAN,), (STD,)))
