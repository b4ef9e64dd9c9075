"""What a table of costs measures: shipped networks without data, own ones on the recipe's samples, for its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgebll
from edgebll.data import load_dataset
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.learning.reproduce.measured_model import MeasuredModel
from edgebll.learning.training import TrainConfig

OWN = """
import torch
from torch import nn
from edgebll.learning import Greedy
from edgebll.learning.networks import BlockNetwork


class Small(nn.Sequential):
    def __init__(self, num_classes, width=8, cells=16):
        super().__init__(nn.Conv2d(1, width, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(cells * width, num_classes))


def pixels(num_classes, input_shape):
    "Takes pixels as they are."
    first = nn.Sequential(Scaled(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU())
    return BlockNetwork([first, nn.Linear(8, num_classes)], num_classes, input_shape, input_dtype="uint8")


class Scaled(nn.Module):
    def forward(self, x):
        return x.float() / 255


class Local(Greedy):
    pass
"""
RECIPE = """
kind = "cost"
train = { batch_size = 16, data = "digits", last_batch = "mask", sampling = "balanced" }
[[settings]]
name = "mine"
blocks = [2]
train = { network = "own.py:Small", network_options = { width = 4 } }
[[rules]]
name = "Local"
rule = "own.py:Local"
train = { fine_tuning = { freeze = ["block0.0.bias"] } }
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    Path("mine.toml").write_text(RECIPE)


def config(**options: Any) -> TrainConfig:
    return TrainConfig(**{"blocks": 2, "batch_size": 4, **options}).completed()


def again(measured: MeasuredModel, folder: Path) -> MeasuredModel:
    folder.mkdir()
    measured.write(folder)
    return MeasuredModel.read(folder)


def test_an_own_network_is_measured_on_the_samples_of_the_recipe(tmp_path: Path) -> None:
    measured = again(MeasuredModel.of(config(network="own.py:Small", network_options={"width": 5}), None), tmp_path / "m")
    model, inputs = measured.build()
    assert [step.spec.output.shape[0] for step in model.steps] == [4, 4]
    assert model.steps[-1].spec.output.shape == (4, 10)
    assert measured.record.config.task == "classification"
    expected = load_dataset("digits", "train").inputs(np.arange(4))
    np.testing.assert_array_equal(measured.examples, expected)
    np.testing.assert_array_equal(np.sort(inputs.draw(4, np.random.default_rng(0)).numpy(), 0), np.sort(expected, 0))


def test_a_data_set_of_fewer_samples_than_a_batch_is_taken_round(tmp_path: Path) -> None:
    np.savez("few.npz", x=np.arange(30, dtype=np.float32).reshape(15, 2), y=np.arange(30, dtype=np.float32).reshape(15, 2))
    Path("line.py").write_text("from torch import nn\n\n\ndef line():\n    return [nn.Linear(2, 3), nn.Linear(3, 2)]\n")
    told = {"data": "few.npz", "network": "line.py:line", "task": "regression", "batch_size": 20, "blocks": None}
    measured = again(MeasuredModel.of(config(**told, data_options={"test": 0.4}), None), tmp_path / "m")
    assert measured.examples is not None
    assert len(measured.examples) == 20
    assert len(np.unique(measured.examples, axis=0)) == 9
    assert measured.build()[0].steps[-1].task.name == "regression"


def test_a_shipped_network_needs_no_data(tmp_path: Path) -> None:
    measured = MeasuredModel.of(config(network="resnet8", data="cifar-10"), tmp_path)
    assert (measured.record.input_shape, measured.examples) == ((1, 28, 28), None)
    with pytest.raises(DataError, match="the data set cifar-10 was not found"):
        MeasuredModel.of(config(network="own.py:Small", data="cifar-10"), tmp_path)


def test_a_network_that_does_not_take_its_samples_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"own\.py:Small cannot be cut: it does not take samples of shape \(1, 8, 8\)"):
        MeasuredModel.of(config(network="own.py:Small", network_options={"cells": 15}), None)
    np.savez("floats.npz", x=np.ones((20, 1, 8, 8), np.float32), y=np.arange(20) % 10)
    with pytest.raises(DataError, match="come as float32, not as uint8 as the network takes them"):
        MeasuredModel.of(config(network="own.py:pixels", data="floats.npz"), None)


def test_pixels_stay_pixels_where_the_network_takes_them(tmp_path: Path) -> None:
    measured = again(MeasuredModel.of(config(network="own.py:pixels"), None), tmp_path / "m")
    assert measured.examples is not None
    assert (measured.examples.dtype, measured.examples.max()) == (np.uint8, 16)
    assert measured.build()[1].draw(4, np.random.default_rng(0)).dtype == torch.uint8


@pytest.mark.slow
def test_a_recipe_of_costs_takes_own_networks_and_rules(tmp_path: Path) -> None:
    """In its processes, steps that count samples and parts that are frozen too; the same command again measures nothing."""
    found = edgebll.sweep("mine.toml")
    assert found.errors == {}
    (line,) = found.document["lines"]
    for runtime in ("torch", "onnxruntime"):
        assert line["costs"][runtime]["peak_bytes"] > 0 < line["costs"][runtime]["slowest_seconds"]
    assert "own.py:Small" in found.report.read_text()
    said: list[str] = []
    edgebll.sweep("mine.toml", progress=said.append)
    assert not [line for line in said if "measuring" in line]
