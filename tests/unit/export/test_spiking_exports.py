"""Training steps of spiking networks as graphs: they agree with PyTorch, stay small, and a wrong one is told from rounding."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import pytest
from support.slow import slow_after

from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export import export_bundle, verify_bundle

RULES = {"bll": 3, "greedy": 3, "backprop": 1}
SMALL: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "spiking-mlp": ({"width": 24, "depth": 3}, (6, 2, 5, 5)),
    "spiking-conv": ({"width": 4, "depth": 3, "time_steps": 5}, (1, 8, 8)),
}
#: Every rule on both networks: `python -m support.rules_table spiking-mlp spiking-conv` in tests/.
CASES = [("backprop", "spiking-mlp"), ("greedy", "spiking-conv")]
KINDS: list[dict[str, Any]] = [
    {"neuron": "alif", "recurrent": True, "learn_tau": True},
    {"neuron": "cuba_lif", "reset": "subtract", "surrogate": "triangular", "learn_tau": True},
    {"neuron": "if", "surrogate": "superspike", "norm": "none", "v_threshold": 0.4},
]


def made(rule: str, network: str, steps: int = 0, **options: Any) -> BlockNetwork:
    small, shape = SMALL[network]
    shape = (steps, *shape[1:]) if steps else shape
    chosen = {**small, **options}
    return make_network(network, num_blocks=RULES[rule], num_classes=10, input_shape=shape, seed=0, options=chosen)


def export(rule: str, network: str, path: Path, steps: int = 0, **options: Any) -> None:
    blocks = made(rule, network, steps, **options)
    export_bundle(blocks, rule=make_rule(rule), optimizer=SGD(), batch_size=8, path=path)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "b"
    export("bll", "spiking-mlp", path)
    return path


def test_graphs_of_bll_agree_over_ten_steps(bundle: Path) -> None:
    assert not [row for row in verify_bundle(bundle, steps=10, tolerance=1e-4) if row.failed]


@pytest.mark.parametrize(("rule", "network"), slow_after(0, CASES))
def test_graphs_agree_over_ten_steps(rule: str, network: str, tmp_path: Path) -> None:
    export(rule, network, tmp_path / "b")
    assert not [row for row in verify_bundle(tmp_path / "b", steps=10, tolerance=1e-4) if row.failed]


@pytest.mark.parametrize("options", slow_after(0, [(one,) for one in KINDS]))
def test_graphs_of_other_neurons_agree(options: dict[str, Any], tmp_path: Path) -> None:
    export("bll", "spiking-mlp", tmp_path / "b", **options)
    assert not [row for row in verify_bundle(tmp_path / "b", steps=4, tolerance=1e-4) if row.failed]


@pytest.mark.slow
def test_only_neurons_are_unrolled(tmp_path: Path) -> None:
    """Of a block with T time steps: as many products as with one, and for each more step a bounded number of small nodes."""
    counts = []
    for steps in (4, 8):
        export("bll", "spiking-mlp", tmp_path / str(steps), steps=steps)
        nodes = onnx.load(str(tmp_path / str(steps) / "block1" / "step.onnx")).graph.node
        counts.append(Counter(node.op_type for node in nodes))
    few, many = counts
    assert few["Gemm"] + few["MatMul"] == many["Gemm"] + many["MatMul"]
    assert (sum(many.values()) - sum(few.values())) / 4 <= 24


def test_a_wrong_threshold_is_no_rounding(bundle: Path) -> None:
    """Rounding may turn a spike here and there; thresholds that are higher by a hundredth turn more."""
    other = made("bll", "spiking-mlp", v_threshold=1.01)
    failed = {(row.block, row.tensor) for row in verify_bundle(bundle, steps=2, network=other) if row.failed}
    assert {("block0", "a"), ("block1", "a"), ("block2", "a")} <= failed
