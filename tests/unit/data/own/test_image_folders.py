"""Folders of images: which become samples, of what class, and with what pixels."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.own_files import COUNTS, pixels, write_images

from edgebll.data import load_data, load_dataset
from edgebll.data.own import image_folder
from edgebll.data.own.image_decoding import decode, measure
from edgebll.kernel.errors import ConfigError, DataError, MissingExtraError


def test_every_image_is_a_sample_of_its_folders_class(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos")
    data = load_data(str(folder))
    assert (len(data.train), len(data.test), data.train.input_shape) == (32, 8, (3, 16, 16))
    assert [np.bincount(part.labels).tolist() for part in data.splits] == [[10, 6, 16], [2, 2, 4]]
    seen = {image.tobytes(): int(label) for part in data.splits for image, label in zip(part.samples, part.labels, strict=True)}
    for label, (name, count) in enumerate(COUNTS.items()):
        for index in range(count):
            with Image.open(folder / name / f"{index:03d}.png") as image:
                assert seen.pop(np.asarray(image).transpose(2, 0, 1).tobytes()) == label
    assert not seen


def test_training_images_are_normalised_by_channel(tmp_path: Path) -> None:
    data = load_data(str(write_images(tmp_path / "photos")))
    raw = data.train.samples[np.arange(32)] / 255.0
    mean, std = raw.mean((0, 2, 3)), raw.std((0, 2, 3))
    assert np.allclose(data.options["mean"], mean, rtol=1e-5)
    assert np.allclose(data.options["std"], std, rtol=1e-5)
    expected = (raw - mean[:, None, None]) / std[:, None, None]
    assert np.allclose(data.train.inputs(np.arange(32)), expected, atol=1e-4)


def test_the_split_follows_from_its_seed(tmp_path: Path) -> None:
    folder = str(write_images(tmp_path / "photos"))

    def test_rows(**options: object) -> list[bytes]:
        return [image.tobytes() for image in load_dataset(folder, "test", options=options).samples]

    assert test_rows() == test_rows(split_seed=0)
    assert set(test_rows()) != set(test_rows(split_seed=1))
    assert len(test_rows(test=0.5)) == 20
    assert len(test_rows(test=1, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))) == 40
    with pytest.raises(DataError, match="no training samples to normalise by"):
        test_rows(test=1)
    with pytest.raises(DataError, match="has no test samples"):
        test_rows(test=0)


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "val"), ("train", "validation")])
def test_folders_for_training_and_evaluation_are_respected(tmp_path: Path, train: str, test: str) -> None:
    write_images(tmp_path / "photos" / train, {"a": 5, "b": 4})
    write_images(tmp_path / "photos" / test, {"a": 2, "b": 1})
    data = load_data(str(tmp_path / "photos"))
    assert (len(data.train), len(data.test)) == (9, 3)


def test_damaged_files_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos")
    whole = (folder / "cat" / "003.png").read_bytes()
    (folder / "cat" / "003.png").write_bytes(whole[: len(whole) // 2])
    (folder / "owl" / "000.png").write_bytes(b"nothing")
    (folder / "owl" / "notes.txt").write_text("no image, and not counted as one")
    (folder / "owl" / ".hidden.png").write_bytes(b"")
    told: list[str] = []
    data = load_data(str(folder), tell=told.append)
    assert len(data.train) + len(data.test) == 38
    assert any("2 files are left out" in text and "cat/003.png" in text and "truncated" in text for text in told), told


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), r"there is not enough memory to decode .*cat/003\.png; free some, or take the file out"),
        (OSError(errno.EMFILE, "Too many open files"), r"003\.png cannot be read \(Too many open files\), which is no fault"),
    ],
)
@pytest.mark.parametrize("reader", ["decode", "measure"])
def test_what_is_no_fault_of_a_file_leaves_none_out(
    error: Exception, reason: str, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = write_images(tmp_path / "photos"), getattr(image_folder, reader)

    def short(path: Path, *how: Any) -> Any:
        if path.parts[-2:] == ("cat", "003.png"):
            raise error
        return whole(path, *how)

    monkeypatch.setattr(image_folder, reader, short)
    with pytest.raises(DataError, match=reason):
        load_data(str(folder))
    monkeypatch.setattr(image_folder, reader, whole)
    data = load_data(str(folder))
    assert len(data.train) + len(data.test) == 40


def test_a_place_that_there_is_not_is_a_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged TIFF sends its reader before the file's beginning."""
    folder = write_images(tmp_path / "photos")

    def lost(path: Path, *how: Any) -> Any:
        if path.parts[-2:] == ("cat", "003.png"):
            with path.open("rb", buffering=0) as stream:
                stream.seek(-1)
        return decode(path, *how)

    monkeypatch.setattr(image_folder, "decode", lost)
    data = load_data(str(folder))
    assert len(data.train) + len(data.test) == 39


def test_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_images(tmp_path / "photos")
    first = load_data(str(folder))
    monkeypatch.setattr(image_folder, "decode", lambda *_: pytest.fail("decoded again"))
    again = load_data(str(folder))
    assert np.array_equal(first.train.samples[np.arange(32)], again.train.samples[np.arange(32)])
    monkeypatch.undo()


def test_another_file_is_seen(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos")
    first = load_data(str(folder))
    Image.fromarray(pixels(99)).save(folder / "cat" / "000.png")
    again = load_data(str(folder))
    assert first.options["digest"] != again.options["digest"]
    wanted = pixels(99).transpose(2, 0, 1)
    assert any(np.array_equal(image, wanted) for part in again.splits for image in part.samples)


def test_where_nothing_can_be_written_images_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_images(tmp_path / "photos")
    kept = load_data(str(folder))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    in_memory = load_data(str(folder))
    assert in_memory.options == kept.options
    assert np.array_equal(kept.test.samples[np.arange(8)], in_memory.test.samples[np.arange(8)])


def test_a_crop_is_the_middle(tmp_path: Path) -> None:
    image = pixels(0, 8, 20)
    Image.fromarray(image).save(tmp_path / "wide.png")
    assert np.array_equal(decode(tmp_path / "wide.png", 8, 8, 3, "crop"), image[:, 6:14].transpose(2, 0, 1))
    halves = image.reshape(4, 2, 10, 2, 3).astype(float).mean((1, 3))
    found = decode(tmp_path / "wide.png", 4, 10, 3, "squash").transpose(1, 2, 0)
    assert np.abs(found[1:-1, 1:-1] - halves[1:-1, 1:-1]).mean() < 30  # a triangle of two pixels to each side, not a box
    assert decode(tmp_path / "wide.png", 5, 7, 1, "crop").shape == (1, 5, 7)


def test_cameras_and_scanners_are_understood(tmp_path: Path) -> None:
    image = pixels(0, 8, 12)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be looked at after a quarter turn to the right
    Image.fromarray(image).save(tmp_path / "turned.png", exif=turned)
    assert measure(tmp_path / "turned.png") == (12, 8, 3)
    assert np.array_equal(decode(tmp_path / "turned.png", 12, 8, 3, "crop"), np.rot90(image, -1).transpose(2, 0, 1))
    deep = (np.arange(64).reshape(8, 8) * 1000).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(decode(tmp_path / "deep.png", 8, 8, 1, "crop")[0], deep >> 8)
    Image.fromarray(image).convert("P").save(tmp_path / "palette.png")
    assert measure(tmp_path / "palette.png")[2] == 3
    Image.fromarray(pixels(1, 600, 400)).save(tmp_path / "large.jpg")
    assert decode(tmp_path / "large.jpg", 32, 32, 3, "crop").shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("sizes", "options", "expected"),
    [
        ([(20, 30)], {}, (3, 20, 30)),
        ([(20, 30), (30, 20)], {}, (3, 64, 64)),
        ([(300, 300)], {}, (3, 64, 64)),
        ([(20, 30)], {"size": "12"}, (3, 12, 12)),
        ([(20, 30)], {"size": "12x14", "channels": "1"}, (1, 12, 14)),
    ],
)
def test_the_size_is_the_images_own_or_the_one_given(
    tmp_path: Path, sizes: list[tuple[int, int]], options: dict[str, str], expected: tuple[int, ...]
) -> None:
    for number, (height, width) in enumerate(sizes):
        write_images(tmp_path / "photos", {f"a{number}": 2, f"b{number}": 2}, height, width)
    assert load_data(str(tmp_path / "photos"), options=options).train.input_shape == expected


def test_wrong_folders_are_refused_in_a_sentence(tmp_path: Path) -> None:
    def refused(build: dict[str, dict[str, int]], reason: str, **options: object) -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for part, counts in build.items():
            write_images(folder / part, counts)
        with pytest.raises((DataError, ConfigError), match=reason):
            load_data(str(folder), options=options)

    refused({".": {"only": 4}}, "one class only, only")
    refused({".": {"a": 4, "b": 0}}, r"b has no image \(.png, .jpg")
    refused({"train": {"a": 2, "b": 2}, "test": {"a": 2, "c": 2}}, "the class b is in train/ but not in test/")
    refused({".": {"a": 2, "b": 2}}, "class 'b', but the data option classes has only a, c", classes="a,c")
    refused({".": {"a": 2, "b": 2}}, "size must be like 64 or 48x64", size="64x")
    refused({".": {"a": 2, "b": 2}}, "fit must be crop or squash, not 'stretch'", fit="stretch")
    refused({".": {"a": 2, "b": 2}}, "no data option 'sise'; it has test, split_seed", sise=4)
    refused({".": {"a": 2, "b": 2}}, "expected float, got str 'many'", test="many")
    refused({".": {"a": 2, "b": 2}}, "0 to 1, not 2", test=2)


def test_grey_and_coloured_images_are_not_mixed_by_chance(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", {"grey": 3}, channels=1)
    write_images(tmp_path / "photos", {"coloured": 3})
    with pytest.raises(DataError, match=r"grey images, e.g. grey/000.png, and ones in colours, e.g. coloured/000.png"):
        load_data(str(tmp_path / "photos"))
    assert load_data(str(tmp_path / "photos"), options={"channels": 3}).train.input_shape == (3, 16, 16)


def test_a_class_without_one_good_image_is_refused(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos", {"a": 3, "b": 1})
    (folder / "b" / "000.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"not one file of the class b can be read, e.g. b/000.png: cannot identify"):
        load_data(str(folder))


def test_without_pillow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_images(tmp_path / "photos")
    for module in ("PIL", "PIL.Image", "PIL.features", "PIL.ImageOps"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"reading images needs PIL.*pip install 'edgebll\[images\]'"):
        load_data(str(folder), options={"size": 8, "channels": 3})
    with pytest.raises(MissingExtraError, match="reading images needs PIL"):
        load_data(str(folder))
