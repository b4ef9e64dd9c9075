"""Training steps are timed on inputs that the network takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import exported
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle, open_bundle, write_updated
from edgebll.kernel.execution import step_timing as measure
from edgebll_devices.runtimes import BlockRuntime, load_block


def _seen(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the first block is given."""
    seen: list[np.ndarray] = []

    def load(*arguments: object, **named: object) -> BlockRuntime:
        block = load_block(*arguments, **named)  # type: ignore[arg-type]
        train = block.train
        monkeypatch.setattr(block, "train", lambda x, *rest: (seen.append(x), train(x, *rest))[1])
        return block

    monkeypatch.setattr(measure, "load_block", load)
    seconds = measure.step_seconds(bundle)
    assert len(seconds) == len(bundle.manifest.blocks)
    assert min(seconds) > 0
    return seen[0]


def test_golden_inputs_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = exported.tokens(tmp_path / "tokens")
    assert np.array_equal(_seen(bundle, monkeypatch), bundle.golden("block0")["0/x"])


def test_whole_numbers_are_0_where_there_are_no_golden_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = exported.tokens(tmp_path / "tokens")
    write_updated(bundle, {b.name: bundle.state(b.name) for b in bundle.manifest.blocks}, tmp_path / "trained", {})
    x = _seen(open_bundle(tmp_path / "trained"), monkeypatch)
    assert x.dtype == np.int64
    assert not x.any()


def test_floats_are_random_where_there_are_no_golden_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = _seen(make_tiny_bundle(tmp_path / "tiny"), monkeypatch)
    assert x.dtype == np.float32
    assert x.std() > 0.5
