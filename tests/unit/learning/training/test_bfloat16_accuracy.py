"""bfloat16 learns as well as float32: the same seeds, three of them, as `edgebll train` trains."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from edgebll.learning.training import TrainConfig, train


@pytest.mark.slow
def test_accuracy_is_that_of_float32_within_noise(tmp_path: Path) -> None:
    """The mean difference over seeds is below 1.5 points, or below twice its standard error."""
    differences = []
    for seed in range(3):
        found = {}
        for precision in ("float32", "bfloat16"):
            config = TrainConfig(
                network="resnet8",
                network_options={"width": 8},
                blocks=4,
                epochs=4,
                batch_size=32,
                seed=seed,
                precision=precision,
            )
            summary = train(config, tmp_path / f"{precision}{seed}")
            assert summary["channels_last"] is (precision == "bfloat16")
            found[precision] = 100 * summary["accuracy"]
        assert min(found.values()) > 85, found
        differences.append(found["bfloat16"] - found["float32"])
    error = statistics.stdev(differences) / len(differences) ** 0.5
    assert abs(statistics.mean(differences)) < max(1.5, 2 * error), differences
    assert any(differences), "both precisions gave the same: bfloat16 was not computed"
