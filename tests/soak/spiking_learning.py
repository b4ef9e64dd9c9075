"""Spiking blocks learn: local rules within a point of backpropagation through time, under one recipe.

Takes minutes: `pytest tests/soak/spiking_learning.py -s`. The recipe is that of docs/how-to/train-a-spiking-network.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pipelines import invoke, summary

_SEEDS = (0, 1)
_LEAST, _GAP = 0.95, 0.01


def _accuracy(rule: str, blocks: int, seed: int, folder: Path, *options: str) -> float:
    run = folder / f"{rule}{seed}{len(options)}"
    how = ["--data", "events-digits", "--network", "spiking-mlp", "--epochs", 30, "--seed", seed]
    invoke("train", "--rule", rule, "--blocks", blocks, *how, *options, "--out", run)
    found: float = summary(run)["accuracy"]
    print(f"{rule} {' '.join(options)} in {blocks} blocks, seed {seed}: {100 * found:.2f} %")
    return found


@pytest.mark.timeout(3600)
def test_blocks_learn_from_events_as_well_as_the_whole_network(tmp_path: Path) -> None:
    through_time = [_accuracy("backprop", 1, seed, tmp_path) for seed in _SEEDS]
    for options in ((), ("--rule-option", "latent=bernoulli")):
        local = [_accuracy("bll", 3, seed, tmp_path, *options) for seed in _SEEDS]
        assert min(local) >= _LEAST
        assert sum(local) / len(local) >= sum(through_time) / len(through_time) - _GAP
