"""`edgebll export` and `verify` run on samples of the data set that the network was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.idx_files import write_fashion_mnist
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.data import load_dataset
from edgebll.data.example_samples import training_samples
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.spec.manifest import TensorSpec

PIXELS = TensorSpec("x", "float32", (4, 1, 28, 28))


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    options = ("--network", "mlp", "--blocks", 2, "--limit", 128, "--epochs", 1, "--threads", 1)
    call("train", "--data", "digits", *options, "--out", path)
    return path


def test_golden_vectors_are_samples_of_the_data_set(run: Path, tmp_path: Path) -> None:
    call("export", run, "--out", tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.recipe["inputs"] == "the example inputs"
    samples = {x.tobytes() for x in load_dataset("digits", "train").inputs(np.arange(1024))}
    drawn = [bundle.golden("block0")[f"{step}/x"] for step in range(3)]
    assert all(x.tobytes() in samples for batch in drawn for x in batch)
    assert len({x.tobytes() for x in drawn[0]}) == len(drawn[0])
    assert "agree" in call("verify", tmp_path / "bundle", "--steps", 1)


def test_without_the_data_set_inputs_are_random_and_it_is_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgebll_export.bundles.export_trained.training_samples",
        lambda *given: training_samples("fashion-mnist", PIXELS, tmp_path, given[3]),
    )
    said = call("export", run, "--out", tmp_path / "bundle")
    assert "edgebll: without samples of fashion-mnist: the data set fashion-mnist was not found" in said
    assert open_bundle(tmp_path / "bundle").manifest.recipe["inputs"] == "N(0, 1)"
    assert "agree" in call("verify", tmp_path / "bundle", "--steps", 1)


def test_samples_come_in_the_dtype_of_the_network(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    whole = training_samples("fashion-mnist", TensorSpec("x", "uint8", (4, 1, 28, 28)), tmp_path, pytest.fail)
    assert whole is not None
    assert (whole.dtype, whole.shape[1:]) == (np.uint8, (1, 28, 28))
    numbers = training_samples("fashion-mnist", PIXELS, tmp_path, pytest.fail)
    assert numbers is not None
    assert numbers.dtype == np.float32


@pytest.mark.parametrize("data", [None, 7, "no such set"])
def test_bundles_that_name_no_data_set_have_no_samples(data: object, tmp_path: Path) -> None:
    told: list[str] = []
    assert training_samples(data, PIXELS, tmp_path, told.append) is None
    assert len(told) == isinstance(data, str)


def test_samples_of_another_shape_are_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    assert training_samples("digits", PIXELS, tmp_path, told.append) is None
    assert "they have the shape (1, 8, 8), the network takes (1, 28, 28)" in told[0]
