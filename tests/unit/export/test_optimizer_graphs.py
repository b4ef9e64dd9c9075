"""Every optimiser in exported steps: they equal the eager step, their updates are fused, and their state is small."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from support.graphs import run_model
from support.slow import slow_after
from torch import Tensor

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import BLL, OPTIMIZERS, SGD, Adam, AdamW, Backprop, Optimizer, Rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.optimizers.optimizer import Tensors
from edgebll_export import export_bundle, verify_bundle
from edgebll_export.bundles.block_models import block_models
from edgebll_export.graph import builder as graph
from edgebll_export.passes import PASSES, run_passes
from edgebll_export.passes.fuse_updates import MAX_ELEMENTS, fuse_updates

CASES = [
    SGD(),
    Adam(weight_decay=0.01, beta1=0.8, clip_norm=0.1),
    AdamW(clip_norm=0.2, accumulate=3),
    SGD(momentum=0.0, nesterov=False, weight_decay=0.0),
    SGD(clip_norm=0.1),
    Adam(),
    AdamW(),
    AdamW(weight_decay=0.1, clip_norm=0.1),
    SGD(accumulate=3),
]
NETWORKS: dict[str, tuple[int, Rule, tuple[int, ...]]] = {
    "mlp": (2, BLL(), (1, 8, 8)),
    "resnet8": (1, Backprop(), (1, 8, 8)),
}


def network(name: str) -> BlockNetwork:
    num_blocks, _, shape = NETWORKS[name]
    return make_network(name, num_blocks=num_blocks, num_classes=10, input_shape=shape, seed=0)


def step_model(name: str, optimizer: Optimizer) -> onnx.ModelProto:
    return block_models(make_steps(network(name), NETWORKS[name][1], optimizer, 8)[0]).models["step"]


def test_every_optimizer_has_a_case() -> None:
    assert {optimizer.name for optimizer in CASES} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", slow_after(1, NETWORKS, lambda name: name == "resnet8"))
@pytest.mark.parametrize(
    "optimizer", slow_after(3, CASES, lambda one: one in CASES[5:]), ids=lambda o: f"{o.name}-{o.clip_norm}-{o.weight_decay}"
)
def test_ten_steps_equal_eager(name: str, optimizer: Optimizer, tmp_path: Path) -> None:
    manifest = export_bundle(network(name), rule=NETWORKS[name][1], optimizer=optimizer, batch_size=16, path=tmp_path / "b")
    assert manifest.optimizer == optimizer.options()
    rows = verify_bundle(tmp_path / "b", steps=10, tolerance=1e-4)
    assert [row for row in rows if row.failed] == []
    # a ReLU at its kink moves most tensors of a network without local losses, and Adam's step where a gradient is all rounding
    assert sum(row.by_rounding for row in rows) <= len(rows) // 2


@pytest.mark.parametrize(
    "optimizer",
    slow_after(0, CASES[1:], lambda one: one in CASES[4:]),
    ids=lambda o: f"{o.name}-{o.clip_norm}-{o.weight_decay}",
)
def test_updates_of_small_tensors_are_fused(optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One chain for all small tensors, bit-identical to one chain for each."""
    fused = step_model("resnet8", optimizer)
    others = [one for one in PASSES if one is not fuse_updates]
    monkeypatch.setattr(graph, "run_passes", lambda nodes, names: run_passes(nodes, names, others))
    plain = step_model("resnet8", optimizer)
    before, after = (Counter(node.op_type for node in model.graph.node) for model in (plain, fused))
    trained = [t for t in make_steps(network("resnet8"), Backprop(), SGD(), 8)[0].spec.state if "momentum." in t.name]
    own = 1 + sum(tensor.size_bytes > 4 * MAX_ELEMENTS for tensor in trained)  # chains that may remain
    assert before["Sub"] - after["Sub"] >= len(trained) - own - 2
    if isinstance(optimizer, Adam):
        assert before["Div"] - after["Div"] >= len(trained) - own - 2
        assert before["Sqrt"] - after["Sqrt"] >= len(trained) - own - 2
    inputs = random_inputs(plain)
    expected, actual = run_model(plain, inputs), run_model(fused, inputs)
    for name, value in expected.items():
        assert actual[name].tobytes() == value.tobytes(), name


def random_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Values between 0 and 1, as variances and the weights of averages must be."""
    rng = np.random.default_rng(0)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    return {name: np.asarray(rng.random(shape), np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize(("optimizer", "extra"), [(SGD(), 1), (Adam(), 2), (AdamW(), 2)], ids=lambda o: getattr(o, "name", ""))
def test_the_state_grows_by_the_moments_and_two_scalars(optimizer: Optimizer, extra: int) -> None:
    bare = SGD(momentum=0.0, nesterov=False)
    small, large = (make_steps(network("mlp"), BLL(), o, 8)[0].spec for o in (bare, optimizer))
    trained = sum(t.size_bytes for t in large.state if t.name.startswith(("momentum.", "moment1.")))
    scalars = [t.name for t in large.state if t.shape == ()]
    assert large.state_bytes == small.state_bytes + extra * trained + 4 * len(scalars)
    assert scalars == (["moment1", "moment2"] if isinstance(optimizer, Adam) else [])


def test_an_optimizer_of_ones_own_exports(tmp_path: Path) -> None:
    """What a subclass needs: its fields, its moments and its step."""

    @dataclass(frozen=True)
    class SoftSign(Optimizer):
        name: ClassVar[str] = "softsign"

        def initial_moments(self, parameters: Tensors) -> dict[str, Tensor]:
            return {}

        def descend(self, parameters: Tensors, gradients: Tensors, moments: Tensors, lr: Tensor) -> dict[str, Tensor]:
            return {n: p - lr * gradients[n] / (1 + gradients[n].abs()) for n, p in parameters.items()}

    OPTIMIZERS["softsign"] = SoftSign
    try:
        export_bundle(network("mlp"), rule=BLL(), optimizer=SoftSign(lr=0.01), batch_size=8, path=tmp_path / "b")
        assert open_bundle(tmp_path / "b").manifest.optimizer == {"name": "softsign", "lr": 0.01, "clip_norm": 0.0}
        rows = verify_bundle(tmp_path / "b", steps=2)
    finally:
        del OPTIMIZERS["softsign"]
    assert [row for row in rows if row.failed] == []
