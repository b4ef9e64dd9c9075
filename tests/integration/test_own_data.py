"""A user's own images from the first command to boards: trained, stopped, resumed, exported, run, and missed if they change."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_calls import call
from support.documents import Document
from support.own_files import write_images
from support.seeded_runs import rewrite

import edgebll
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.runs.run_folder import read_config

TINY: dict[str, Any] = {
    "data_option": {"size": 8},
    "network": "mlp",
    "network_option": {"width": 8, "depth": 2},
    "blocks": 2,
    "batch_size": 8,
    "epochs": 2,
}


class _Stopped(Exception):  # noqa: N818  (nothing is wrong: a user stops a run)
    """The run is stopped here."""


def stop_after(steps: int) -> Any:
    def told(event: Any) -> None:
        if event.kind == "step" and event.step == steps:
            raise _Stopped

    return told


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_images(tmp_path / "photos")


def test_a_stopped_training_goes_on_to_the_same_weights(photos: Path, tmp_path: Path) -> None:
    options = {**TINY, "data": photos, "checkpoint_steps": 1}
    whole = edgebll.train(tmp_path / "whole", **options)
    with pytest.raises(_Stopped):
        edgebll.train(tmp_path / "stopped", **options, progress=stop_after(5))
    shutil.rmtree(tmp_path / "cache")
    resumed = edgebll.train(tmp_path / "stopped", **options, resume=True)
    assert resumed.state_sha256 == whole.state_sha256
    with pytest.raises(ConfigError, match="started with --data-option"):
        edgebll.train(tmp_path / "whole", data_option={"size": 16}, resume=True)
    with pytest.raises(ConfigError, match="started with --data "):
        edgebll.train(tmp_path / "whole", data="reverse", resume=True)


def test_a_changed_folder_is_told_of_before_a_run_goes_on(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(_Stopped):
        edgebll.train(tmp_path / "run", data=photos, **TINY, checkpoint_steps=1, progress=stop_after(3))
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*"))
    (photos / "owl" / "000.png").unlink()
    with pytest.raises(DataError, match="have changed since the training began"):
        edgebll.train(tmp_path / "run", resume=True)
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")) == before


def test_boards_train_on_the_folder_that_the_bundle_remembers(photos: Path, tmp_path: Path) -> None:
    trained = edgebll.train(tmp_path / "trained", data=photos, **TINY)
    bundle = edgebll.export(trained, tmp_path / "bundle", state="initial")
    assert bundle.manifest.recipe["data"] == str(photos)
    assert bundle.manifest.recipe["data_options"] == read_config(trained.path)["data_options"]
    boards = edgebll.simulate(bundle, tmp_path / "boards", boards=2)
    alone = edgebll.simulate(bundle, tmp_path / "alone", boards=0)
    assert boards.state_sha256 == alone.state_sha256
    assert edgebll.evaluate(boards).accuracy == boards.accuracy
    assert edgebll.evaluate(trained).summary["count"] == 8
    other = write_images(tmp_path / "other", {"owl": 3})
    assert edgebll.evaluate(trained, data=str(other), data_option={"test": 1}).summary["count"] == 3
    (photos / "owl" / "000.png").unlink()
    for changed in (trained, boards, bundle):
        with pytest.raises(DataError, match="have changed since the training began"):
            edgebll.evaluate(changed)
    assert edgebll.evaluate(boards, data=str(photos)).summary["count"] == 8


def test_the_commands_say_what_is_in_data_and_what_is_wrong(photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "000.png").write_bytes(b"nothing")
    picture = tmp_path / "sheet.png"
    found = json.loads(call("data", "check", photos, "--json", "--picture", picture).stdout)
    assert (found["kind"], found["shape"], found["samples"]) == ("images", [3, 16, 16], {"train": 31, "test": 8})
    assert found["classes"][0] == {"name": "cat", "train": 9, "test": 2}
    assert [reason.split(":")[0] for reason in found["skipped"]] == ["cat/000.png"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    out = call("data", "check", photos, "--data-option", "size=8").stdout
    assert "31 training and 8 test samples of 3x8x8" in out
    assert "left out: cat/000.png: cannot identify" in out
    shutil.rmtree(photos / "cat")
    shutil.rmtree(photos / "dog")
    for data, options, code, told in (
        (tmp_path / "none", [], 4, f"there is no data set at {tmp_path}/none; give a folder or file that exists"),
        (photos, [], 4, f"{photos} has one class only, owl; a network learns to tell two"),
        ("digits", ["size=8"], 2, "the data set digits has no data option 'size'; own data have some"),
        ("digits", ["size"], 2, "an option of the data must be KEY=VALUE, e.g. size=64, not 'size'"),
    ):
        options = [word for option in options for word in ("--data-option", option)]
        result = call("train", "--data", data, *options, "--out", tmp_path / "run", code=code)
        assert result.stderr.splitlines()[-1] == f"edgebll: {told}"
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_page_on_own_data_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    page = Document("docs/how-to/use-your-own-data.md")
    for name, block in re.findall(r'```python title="([^"]+)"\n(.*?)```', page.text, re.DOTALL):
        Path(name).write_text(block)
        exec(compile(block, name, "exec"), {"__name__": name})
    for program, *words in page.commands():
        assert program == "edgebll"
        call(*("mlp" if word == "resnet8" else word for word in words))
    assert (tmp_path / "photos.png").exists()


def test_samples_of_a_program_stay_with_the_run(tmp_path: Path) -> None:
    y = np.arange(48) % 3
    pairs = [(np.random.default_rng(index).normal(label, 1, 6), int(label)) for index, label in enumerate(y)]
    options = {**TINY, "data_option": {"normalize": "yes"}, "checkpoint_steps": 1}
    whole = edgebll.train(tmp_path / "runs" / "whole", data=pairs, **options)
    assert sorted(path.name for path in (whole.path / "data").iterdir()) == ["x.npy", "y.npy"]
    assert [path.name for path in whole.path.parent.iterdir()] == ["whole"]
    with pytest.raises(_Stopped):
        edgebll.train(tmp_path / "stopped", data=pairs, **options, progress=stop_after(5))
    assert edgebll.train(tmp_path / "stopped", resume=True).state_sha256 == whole.state_sha256
    bundle = edgebll.export(whole, tmp_path / "bundle", state="initial")
    assert bundle.manifest.recipe["data"] == str(whole.path / "data")
    kept = edgebll.simulate(bundle, tmp_path / "kept", boards=0)
    given = edgebll.simulate(bundle, tmp_path / "given", boards=0, data=pairs)
    assert given.state_sha256 == kept.state_sha256
    assert read_config(given.path)["data"] == str(given.path / "data")
    assert edgebll.evaluate(given).loss == edgebll.evaluate(kept, data=pairs).loss == kept.loss
    with pytest.raises(DataError, match="the list given as data"):
        edgebll.train(tmp_path / "wrong", data=[(np.zeros(3), -1), (np.zeros(3), 1)], **{**TINY, "data_option": None})
    with pytest.raises(ConfigError, match="the batch size must lie in"):
        edgebll.train(tmp_path / "wrong", data=pairs[:4], **options)
    assert not [path for path in tmp_path.iterdir() if "wrong" in path.name]


def test_samples_of_a_program_go_where_the_run_is_moved_to(tmp_path: Path) -> None:
    pairs = [(np.random.default_rng(index).normal(index % 3, 1, 6), index % 3) for index in range(48)]
    options = {**TINY, "data_option": None, "checkpoint_steps": 1}
    runs = [edgebll.train(tmp_path / "runs" / str(seed), data=pairs, seed=seed, **options) for seed in range(2)]
    with pytest.raises(_Stopped):
        edgebll.train(tmp_path / "stopped", data=pairs, **options, progress=stop_after(5))
    bundle = edgebll.export(runs[0], tmp_path / "bundle", state="initial")
    boards = edgebll.simulate(bundle, tmp_path / "runs" / "boards", boards=0, data=pairs)
    for run in (*runs, boards):
        assert json.loads((run.path / "run.json").read_text())["data"] == "./data"
    for again in (
        lambda: edgebll.train(runs[0].path, data=runs[0].path / "data", **options, overwrite=True),
        lambda: edgebll.simulate(bundle, runs[0].path, boards=0, overwrite=True),
    ):
        with pytest.raises(ConfigError, match=r"lie in .*, where the run is to begin; choose another folder"):
            again()
    (tmp_path / "runs").rename(tmp_path / "moved")
    (tmp_path / "stopped").rename(tmp_path / "gone-on")
    assert edgebll.evaluate(tmp_path / "moved" / "0").loss == runs[0].loss
    assert edgebll.evaluate(tmp_path / "moved" / "boards").loss == boards.loss
    assert edgebll.train(tmp_path / "gone-on", resume=True).state_sha256 == runs[0].state_sha256
    assert len(edgebll.compare([tmp_path / "moved" / "0", tmp_path / "moved" / "1"]).groups) == 1
    before = tmp_path / "moved" / "1"  # releases of before wrote down where the folder was
    rewrite(before / "run.json", {"data": str(tmp_path / "runs" / "1" / "data")})
    assert edgebll.evaluate(before).loss == runs[1].loss


def test_recipes_name_own_data_and_know_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", x=np.random.default_rng(0).normal(size=(48, 6)), y=np.arange(48) % 3)
    recipe = """
        title = "Mine"
        seeds = 1
        train = { epochs = 1, batch_size = 8, data = "mine.npz", data_options = { test = 0.25 } }
        [[settings]]
        name = "mine"
        blocks = [2]
        train = { network = "mlp", network_options = { width = 8, depth = 2 } }
        [[rules]]
        name = "BP"
        rule = "backprop"
    """
    Path("mine.toml").write_text(recipe)
    call("sweep", "mine.toml", "--out", "sweeps")
    call("sweep", "mine.toml", "--out", "sweeps")  # all of it is done already
    (run,) = {path.parent for path in Path("sweeps").rglob("summary.json")}
    assert read_config(run)["data"] == str(tmp_path / "mine.npz")
    Path("mine.toml").write_text(recipe.replace("0.25", "0.5"))
    assert "holds a run with data_options" in call("sweep", "mine.toml", "--out", "sweeps", code=2).stderr
