"""Blocks that are no functions of their state and inputs, where no attribute shows it: refused; those that are: exported."""

from __future__ import annotations

import itertools
import random
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support import remembering_blocks as blocks
from support.plain_training import TOLERANCE, error_of, export, normal
from support.remembering_blocks import Keeps, Scaled
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork
from edgebll_export import verify_bundle

AGAIN = r" gives other results when it is called again on the same inputs and weights.*\(self\.register_buffer in __init__\)"
KEEPS = r"block0: the block \(Keeps\) keeps the attribute 'c'.*make it a buffer"
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "python": (
        lambda: Scaled(random.random),
        r"block0: the block \(Scaled\) draws random numbers from Python's random, .*Dropout",
    ),
    "numpy": (lambda: Scaled(np.random.rand), r"block0: .*draws random numbers from numpy\.random, .*Dropout"),
    "rarely": (lambda: Scaled(lambda: float(random.random() > 1e-9), True), r"block0: .*from Python's random"),
    "inner": (lambda: nn.Sequential(nn.Tanh(), Scaled(random.random)), r"block0: layer '1' \(Scaled\) draws .*Python's random"),
    "own generator": (lambda: Scaled(np.random.default_rng(0).random), rf"block0: the block \(Scaled\){AGAIN}"),
    "torch generator": (lambda: Scaled(blocks.of_torch()), rf"block0: the block \(Scaled\){AGAIN}"),
    "cycle": (lambda: Scaled(itertools.cycle([1.0, 0.5]).__next__), rf"block0: the block \(Scaled\){AGAIN}"),
    "generator": (lambda: Scaled(blocks.generated().__next__), AGAIN),
    "slots": (lambda: Scaled(blocks.Slotted().step), AGAIN),
    "closure": (lambda: nn.Sequential(Scaled(blocks.of_closure())), rf"block0: layer '0' \(Scaled\){AGAIN}"),
    "global": (lambda: Scaled(blocks.of_global), AGAIN),
    "default argument": (lambda: Scaled(blocks.of_default), AGAIN),
    "ends": (lambda: Scaled(iter([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).__next__), r"block0 fails.*StopIteration"),
    "class": (blocks.OfClass, rf"block0: the block \(OfClass\){AGAIN}"),
    "object": (lambda: Keeps(types.SimpleNamespace(n=0), blocks.in_namespace), AGAIN),
    "nested": (lambda: Keeps({"d": {"n": 0}}, blocks.in_nested), AGAIN),
    "array": (lambda: Keeps(np.ones(1), blocks.in_array), AGAIN),
    "forward hook": (blocks.forward_hooked, rf"block0: layer '0' \(Linear\){AGAIN}"),
    "gradient hook": (blocks.gradient_hooked, rf"block0: it{AGAIN}"),
    "toggle": (lambda: Keeps(False, blocks.toggled), KEEPS),
    "alternating": (lambda: Keeps(False, blocks.alternating), KEEPS),
    "every third": (lambda: Keeps(0, blocks.every_third), KEEPS),
    "saturating": (lambda: Keeps(0.0, blocks.saturating), KEEPS),
    "for evaluation": (lambda: Keeps(torch.zeros(6), blocks.for_evaluation), KEEPS),
}


def network_of(block: nn.Module) -> BlockNetwork:
    """The block itself and a classifier; generators cannot be copied."""
    return BlockNetwork([block, nn.Linear(6, 3)], num_classes=3, input_shape=(3,))


@pytest.mark.trains_modules  # what lies deeper than attributes cannot be put back
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_place_and_cure(name: str, tmp_path: Path) -> None:
    make_block, sentence = REFUSED[name]
    network = network_of(make_block())
    threads, generator = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(ConfigError, match=sentence) as caught:
        export(network, tmp_path / "bundle")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), generator)


EXPORTED: dict[str, Callable[[], nn.Module]] = {
    "cached": lambda: Keeps(None, blocks.cached),
    "logged": lambda: Keeps([], blocks.logged),
    "counted": lambda: Keeps(types.SimpleNamespace(n=0), blocks.counted),
}


@pytest.mark.trains_modules
@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_kept_to_be_looked_at_does_no_harm(name: str, tmp_path: Path) -> None:
    assert error_of(EXPORTED[name], tmp_path, normal(3)) < TOLERANCE


@pytest.mark.trains_modules
def test_verify_refuses_what_was_exported_before_it_drew(tmp_path: Path) -> None:
    block = Scaled(lambda: 1.0)
    network = network_of(block)
    export(network, tmp_path / "bundle")
    block.scale = random.random
    with pytest.raises(ConfigError, match=r"block0: the block \(Scaled\) draws random numbers from Python's random"):
        verify_bundle(tmp_path / "bundle", network=network)
