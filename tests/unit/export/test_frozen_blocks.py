"""Exported graphs of networks of which parts are frozen, beside plain PyTorch written out here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from support.plain_training import BATCH, LR, TOLERANCE, batches, by_graph, by_pytorch, largest_error, network_of, normal
from support.slow import slow_after
from torch import nn

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning import BLL, SGD, AdamW, Greedy, InfoPro, Rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, verify_bundle

PLAIN = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.Tanh())
    block[1].running_mean.fill_(0.5)
    return block


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.out = nn.GRU(3, 5, batch_first=True), nn.Linear(5, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(self.cell(x)[0][:, -1])
        return found


def hold(block: nn.Module, *layers: str) -> nn.Module:
    """Freeze layers as people do in PyTorch."""
    for layer in layers:
        block.get_submodule(layer).requires_grad_(False).eval()
    return block


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[str, ...], tuple[str, ...]]] = {
    "the first layers": (convolutions, (2, 7, 7), ("block0.[01]",), ("0", "1")),
    "a layer in the middle": (convolutions, (2, 7, 7), ("3",), ("3",)),
    "the last layers": (convolutions, (2, 7, 7), ("block0.3", "block0.4.*"), ("3", "4")),
    "a recurrent layer": (Recurrent, (4, 3), ("cell",), ("cell",)),
}


@pytest.mark.parametrize("case", CASES)
def test_six_steps_equal_plain_pytorch(case: str, tmp_path: Path) -> None:
    make_block, shape, freeze, frozen = CASES[case]
    seen = batches(normal(*shape))
    network = network_of(make_block(), seen[0][0])
    export_bundle(
        network, rule=Greedy(head_size=1), optimizer=PLAIN, batch_size=BATCH, path=tmp_path / "bundle",
        fine_tuning=FineTuning(freeze),
    )  # fmt: skip
    states = list(by_graph(tmp_path / "bundle", seen))
    trained = by_pytorch(hold(make_block(), *frozen), states[0], seen)
    assert largest_error(states[-1], trained, states[0]) < TOLERANCE
    state = open_bundle(tmp_path / "bundle").state("block0")
    assert not any(name.removeprefix("net.").startswith(f"{layer}.") for name in state for layer in frozen)
    assert any((states[-1][name] != states[0][name]).any() for name in state if name.startswith("net."))


def test_a_frozen_block_is_its_forward_pass(tmp_path: Path) -> None:
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    manifest = export_bundle(
        network, rule=BLL(), optimizer=AdamW(), batch_size=8, path=tmp_path, fine_tuning=FineTuning(("block[01]",))
    )
    bundle = open_bundle(tmp_path)
    for name in ("block0", "block1"):
        spec = manifest.block(name)
        assert (spec.state, spec.scalars, spec.metrics, spec.beta) == ((), (), (), None)
        graphs = [onnxruntime.InferenceSession(bundle.graph(name, graph)) for graph in ("step", "forward")]
        assert [[value.name for value in session.get_inputs()] for session in graphs] == [["x"], ["x"]]
        assert [[value.name for value in session.get_outputs()] for session in graphs] == [["a"], ["a"]]
        x = np.random.default_rng(0).standard_normal(spec.input.shape, np.float32)
        step, forward = (session.run(["a"], {"x": x})[0] for session in graphs)
        assert step.tobytes() == forward.tobytes()
        own = {f"net.{key}": value for key, value in network.blocks[int(name[-1])].state_dict().items()}
        constants = bundle.constants(name)
        assert {key for key in own if "num_batches" not in key} == set(constants)
        assert all(np.array_equal(value, own[key].numpy()) for key, value in constants.items())
    assert bundle.constants("block2") == {}


@pytest.mark.parametrize(
    "rule", slow_after(1, [BLL(feedback="chain"), InfoPro(), Greedy()]), ids=["chained", "infopro", "greedy"]
)
@pytest.mark.parametrize("freeze", slow_after(1, ["block[12]", "block0"]))
def test_every_stream_of_a_rule_goes_through_frozen_blocks(rule: Rule, freeze: str, tmp_path: Path) -> None:
    network = make_network("resnet8", num_blocks=4, num_classes=10, input_shape=(1, 8, 8), seed=0)
    export_bundle(network, rule=rule, optimizer=SGD(), batch_size=4, path=tmp_path, fine_tuning=FineTuning((freeze,)))
    assert not [row for row in verify_bundle(tmp_path, steps=2) if row.failed]


def products(path: Path, block: str) -> int:
    graph = onnx.load(path / block / "step.onnx").graph
    return sum(node.op_type in ("MatMul", "Gemm", "Conv", "ConvTranspose") for node in graph.node)


def test_no_backward_pass_is_computed_for_what_is_frozen(tmp_path: Path) -> None:
    """A dense block of three layers: 3 products forward; backward 3 for weights and 2 for what goes on to earlier layers."""
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(3, 40), nn.Tanh(), nn.Linear(40, 50), nn.Tanh(), nn.Linear(50, 6))
    network = network_of(block, torch.zeros(4, 3))
    found = {}
    for freeze in ("", "0", "2", "[02]"):
        tuning = FineTuning((f"block0.{freeze}",)) if freeze else None
        export_bundle(
            network, rule=Greedy(head_size=1), optimizer=PLAIN, batch_size=BATCH, path=tmp_path / "bundle", fine_tuning=tuning
        )
        found[freeze] = products(tmp_path / "bundle", "block0")
    whole = found[""]
    assert {freeze: whole - count for freeze, count in found.items()} == {"": 0, "0": 2, "2": 1, "[02]": 4}


def test_given_states_say_what_frozen_weights_are(tmp_path: Path) -> None:
    network = make_network("mlp", num_blocks=2, num_classes=5, input_shape=(1, 6, 6), seed=0)
    weight = torch.full_like(network.blocks[0][1][0].weight, 0.25)
    states = {"block0": {"net.1.0.weight": weight}}
    for freeze in ("block0", "block1"):
        export_bundle(
            network, rule=BLL(), optimizer=SGD(), batch_size=4, path=tmp_path / freeze, states=states,
            fine_tuning=FineTuning((freeze,)),
        )  # fmt: skip
    assert (open_bundle(tmp_path / "block0").constants("block0")["net.1.0.weight"] == 0.25).all()
    assert (open_bundle(tmp_path / "block1").state("block0")["net.1.0.weight"] == 0.25).all()
    assert not [row for row in verify_bundle(tmp_path / "block0") if row.failed], "the bundle's own weights are compared with"
    with pytest.raises(BundleError, match=r"the given states: '1.0.weight' of block0 is torch.float32 \(2, 2\), but"):
        export_bundle(
            network, rule=BLL(), optimizer=SGD(), batch_size=4, path=tmp_path / "no",
            states={"block0": {"net.1.0.weight": torch.zeros(2, 2)}}, fine_tuning=FineTuning(("block0",)),
        )  # fmt: skip
    assert not (tmp_path / "no").exists()
