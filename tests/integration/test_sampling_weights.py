"""A run that draws samples by weights: over boards, interrupted and exported it draws the same ones, or says why it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgebll
from edgebll.kernel.errors import ConfigError, DataError

OPTIONS: dict[str, Any] = {"network": "mlp", "network_option": {"width": 8, "depth": 2}, "blocks": 2, "batch_size": 16}


def test_weights_hold_for_training_boards_and_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.linspace(0, 1, 80))
    x = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    data = {"x": x, "y": np.arange(80) % 2}
    trained = edgebll.train("trained", data=data, sampling="weights:w.npy", epochs=2, checkpoint_steps=2, threads=1, **OPTIONS)
    assert json.loads(Path("trained/run.json").read_text())["sampling"].startswith(f"weights:{tmp_path}/w.npy#")
    with pytest.raises(ConfigError, match="cannot go on with balanced"):
        edgebll.train("trained", sampling="balanced", resume=True)

    bundle = edgebll.export(trained, "bundle", state="initial")
    alone = edgebll.simulate(bundle, "alone", boards=0, epochs=2, snapshot_every=3)
    assert alone.metrics == pytest.approx(trained.metrics, rel=1e-3, abs=2e-3), "graphs and PyTorch see the same batches"
    assert edgebll.simulate(bundle, "boards", boards=2, epochs=2).state_sha256 == alone.state_sha256
    uniform = edgebll.simulate(bundle, "uniform", boards=0, epochs=2, sampling="uniform")
    assert uniform.state_sha256 != alone.state_sha256

    (alone.path / "summary.json").unlink()
    shutil.rmtree(alone.path / "bundle")
    np.save("w.npy", np.ones(80))
    with pytest.raises(DataError, match="have changed since the run was told them"):
        edgebll.simulate(resume=alone.path)
    np.save("w.npy", np.linspace(0, 1, 80))
    assert edgebll.simulate(resume=alone.path).state_sha256 == alone.state_sha256
