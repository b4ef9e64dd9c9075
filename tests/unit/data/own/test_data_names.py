"""Which data a name means, and the options they go with."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.own_files import write_images

from edgebll.data import load_data, load_dataset
from edgebll.data.registry import recorded_options, settled_name
from edgebll.kernel.errors import ConfigError, DataError


def test_a_path_that_is_not_there_is_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=f"there is no data set at {tmp_path}/none"):
        load_data(f"{tmp_path}/none")
    with pytest.raises(ConfigError, match=r"unknown data set 'photos'.*or give the path of your own data"):
        load_data("photos")
    (tmp_path / "notes.md").write_text("text")
    with pytest.raises(
        DataError, match=r"notes\.md is no data that edgebll reads; give a \.txt file.*; or a record.*; or an \.npz file"
    ):
        load_data(str(tmp_path / "notes.md"))
    monkeypatch.chdir(tmp_path)
    assert len(load_data(str(write_images(Path("photos")))).train) == 32
    assert settled_name("photos") == str(tmp_path / "photos")


def test_a_data_set_that_comes_along_goes_before_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(Path("digits"))
    assert len(load_dataset("digits", "test")) == 360
    assert len(load_dataset("./digits", "test")) == 8
    with pytest.raises(ConfigError, match="the data set digits has no data option 'size'"):
        load_dataset("digits", "test", options={"size": 8})


def test_data_that_have_changed_are_not_taken_for_those_of_the_training(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos")
    recorded = load_data(str(folder)).options
    assert load_data(str(folder), options=recorded).options == recorded
    (folder / "cat" / "000.png").rename(folder / "cat" / "100.png")
    with pytest.raises(DataError, match="have changed since the training began"):
        load_data(str(folder), options=recorded_options(None, recorded, None))
    anew = recorded_options(str(folder), recorded, {"test": 1})
    assert "digest" not in anew
    assert len(load_dataset(str(folder), "test", options=anew)) == 40
    with pytest.raises(DataError, match="decode them to other numbers"):
        load_data(str(folder), options={"decoded": "0" * 64})


def test_other_data_are_prepared_as_those_of_the_training(tmp_path: Path) -> None:
    recorded = load_data(str(write_images(tmp_path / "photos")), options={"size": 8}).options
    other = write_images(tmp_path / "other", {"owl": 6, "cat": 3}, 30, 30)
    options = recorded_options(str(other), recorded, {"test": "1"})
    dataset = load_dataset(str(other), "test", options=options)
    assert dataset.input_shape == (3, 8, 8)
    assert sorted(dataset.labels) == [0] * 3 + [2] * 6
    assert load_data(str(other), options={**options, "test": 0.5}).options["mean"] == recorded["mean"]
    assert recorded_options("digits", recorded, None) == {}
