"""One image file becomes uint8 pixels of one size. Needs Pillow (extra "images")."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgebll.data.dataset import Bytes
from edgebll.kernel.support.optional_imports import import_extra

CROP, SQUASH = "crop", "squash"
#: No photograph has more pixels; a small file may claim to.
MAX_PIXELS = 200_000_000
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B")


def pillow() -> ModuleType:
    """Pillow's module for images.

    Raises:
        MissingExtraError: it is not installed.
    """
    return import_extra("PIL.Image", "images", "reading images")


def decoder() -> str:
    """What decodes images: another release may round a pixel otherwise.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    features = import_extra("PIL.features", "images", "reading images")
    return f"Pillow {pillow().__version__}, libjpeg {features.version('jpg')}"


def measure(path: Path) -> tuple[int, int, int]:
    """Height and width as an image is looked at, and its channels, 1 or 3; from the head of its file.

    Raises:
        Exception: of any kind, where it is none.
    """
    with pillow().open(path) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"it claims {width} x {height} pixels")
        if image.getexif().get(_ORIENTATION) in _TURNED:
            height, width = width, height
        return height, width, 1 if image.mode in _GREY else 3


def decode(path: Path, height: int, width: int, channels: int, fit: str) -> Bytes:
    """The pixels of an image file.

    Args:
        path: of the file.
        height: pixels of the result from top to bottom.
        width: pixels of the result from left to right.
        channels: 1 for grey, 3 for red, green and blue; transparency is left out.
        fit: CROP scales the image until it covers the result and cuts out its middle, SQUASH changes its proportions.

    Returns:
        uint8 (channels, height, width).

    Raises:
        Exception: of any kind, where it is damaged or none.
    """
    transforms = import_extra("PIL.ImageOps", "images", "reading images")
    with pillow().open(path) as opened:
        if opened.size[0] * opened.size[1] > MAX_PIXELS:
            raise ValueError(f"it claims {opened.size[0]} x {opened.size[1]} pixels")
        side = max(height, width)
        opened.draft(None, (side, side))  # a JPEG is decoded no larger than needed
        image = _in_colours(transforms.exif_transpose(opened), "L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = _resized(image, height, width, fit)
    pixels = np.asarray(image, np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _in_colours(image: Any, mode: str) -> Any:
    """An image of one byte a channel; of 16 bits the upper eight."""
    if image.mode.startswith("I"):
        image = pillow().fromarray((np.clip(np.asarray(image), 0, 65535).astype(np.uint32) >> 8).astype(np.uint8))
    return image if image.mode == mode else image.convert(mode)


def _resized(image: Any, height: int, width: int, fit: str) -> Any:
    """An image of another size, its pixels means of those that they stand for (a triangle over as many as come to one)."""
    box = (0.0, 0.0, float(image.size[0]), float(image.size[1]))
    if fit == CROP:
        scale = min(image.size[0] / width, image.size[1] / height)
        left, top = (image.size[0] - width * scale) / 2, (image.size[1] - height * scale) / 2
        box = (left, top, left + width * scale, top + height * scale)
    return image.resize((width, height), resample=pillow().Resampling.BILINEAR, box=box)
