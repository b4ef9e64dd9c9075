"""A folder of images, a subfolder a class."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from edgebll.data.own.class_folders import ClassFiles, find_class_files, has_class_files
from edgebll.data.own.data_options import YES, OwnDataOptions, check_word, pixel_sides
from edgebll.data.own.decoded_classes import decode_classes, files_left_out, parts_left, raise_of_machine
from edgebll.data.own.file_digest import digest_files
from edgebll.data.own.image_decoding import CROP, SQUASH, decode, decoder, measure
from edgebll.data.own.sample_pool import SamplePool
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.limits import usable_cores

IMAGES = "images"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
#: Images of one size up to so many pixels a side stay as they are; others get this size.
_LARGEST_OWN, _SIDE = 256, 64


@dataclass(frozen=True)
class ImageOptions(OwnDataOptions):
    """Options of a folder of images; those of every kind come before.

    Attributes:
        size: of all images, "HEIGHTxWIDTH" or the one number of a square; empty: their own if all have the same one of up to
            256 pixels a side, else 64x64.
        fit: how images of other sizes come to it: "crop" scales an image until it covers the size and cuts out the middle,
            "squash" changes its proportions.
        channels: 1 for grey images, 3 for colours; 0 for what the files have.
        decoded: SHA-256 of the pixels; empty until it is found out.

    Raises:
        ConfigError: one is out of range.
    """

    size: str = ""
    fit: str = CROP
    channels: int = 0
    decoded: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_word("fit", self.fit, (CROP, SQUASH))
        if self.channels not in (0, 1, 3):
            raise ConfigError(f"the data option channels must be 1 or 3, not {self.channels}")
        if self.size:
            self.sides()

    def sides(self) -> tuple[int, int]:
        """Height and width.

        Raises:
            ConfigError: the size is none.
        """
        return pixel_sides("size", self.size)


def is_image_folder(path: Path) -> bool:
    """Whether there are images in subfolders."""
    return path.is_dir() and has_class_files(path, ENDINGS)


def read_image_folder(path: Path, options: ImageOptions, tell: Callable[[str], None]) -> SamplePool:
    """All images of a folder, as uint8 (N, C, H, W); what cannot be decoded is left out and named.

    Args:
        path: of the folder.
        options: of the images.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: the folder has not the classes it should, images differ in their channels, or not one can be decoded.
        MissingExtraError: Pillow is not installed.
    """
    release = decoder()  # first of all: without it no file can be read, whatever is in it
    found = find_class_files(path, ENDINGS, "image", options.classes)
    digest = digest_files(path, found.files)
    options = replace(_settled(found, options), classes=found.classes, digest=digest, normalize=options.normalize or YES)
    height, width = options.sides()
    decoded = decode_classes(
        found,
        lambda file: decode(file, height, width, options.channels, options.fit),
        (options.channels, height, width),
        "uint8",
        {"digest": digest, "fit": options.fit, "decoder": release},
        lambda: tell(f"decoding {len(found.files)} images of {path} to {height}x{width} pixels, once; they are kept for later"),
    )
    options = replace(options, decoded=decoded.sha256)
    parts = parts_left(found, decoded)
    return SamplePool(str(path), decoded.array, found.labels, parts, options, files_left_out(found, decoded))


def _settled(found: ClassFiles, options: ImageOptions) -> ImageOptions:
    """The options with a size and channels, from the heads of the files if they are not given."""
    if options.size and options.channels:
        return options
    with ThreadPoolExecutor(usable_cores()) as pool:
        heads = {row: head for row, head in enumerate(pool.map(_head, found.files)) if head is not None}
    if not heads:
        raise DataError(f"{found.folder}: not one image can be read, e.g. {found.name_of(0)}; give other files")
    channels = options.channels or _channels(found, {row: head[2] for row, head in heads.items()})
    if options.size:
        return replace(options, channels=channels)
    sides = {head[:2] for head in heads.values()}
    height, width = next(iter(sides)) if len(sides) == 1 else (_SIDE, _SIDE)
    if max(height, width) > _LARGEST_OWN:
        height, width = _SIDE, _SIDE
    return replace(options, channels=channels, size=f"{height}x{width}")


def _channels(found: ClassFiles, channels: dict[int, int]) -> int:
    first = {count: row for row, count in reversed(channels.items())}
    if len(first) > 1:
        grey, coloured = found.name_of(first[1]), found.name_of(first[3])
        raise DataError(
            f"{found.folder} has grey images, e.g. {grey}, and ones in colours, e.g. {coloured}; "
            "give the data option channels=3 to see all in colours, or channels=1"
        )
    return next(iter(first))


def _head(path: Path) -> tuple[int, int, int] | None:
    try:
        return measure(path)
    except Exception as error:  # decoders raise anything on damaged files; `decode_classes` says why
        raise_of_machine(error, path)
        return None
