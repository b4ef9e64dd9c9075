"""Blocks for microcontrollers: listed operators alone, the same training as the user's module, few nodes and constants."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.microcontroller_training import TARGET, check_training, exported
from support.rules import BLL_FORMS
from support.slow import slow_after
from support.small_networks import small_network_of
from torch import Tensor, nn

from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.tasks import make_task
from edgebll.learning import SGD, Adam, AdamW, Optimizer, SeededDropout, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_devices.runtimes.golden_replay import failures, replay
from edgebll_export import verify_bundle
from edgebll_export.bundles.block_models import block_models

PLAIN = SGD(momentum=0.0, nesterov=False, weight_decay=0.0)
MOMENTUM = SGD(nesterov=False, weight_decay=0.0)
#: Network, rule, optimiser; the first is the quick one. Further ones of resnet and dscnn: tests/soak/microcontroller_rules.py.
CASES: list[tuple[str, str, Optimizer]] = [
    ("mlp", "bll", MOMENTUM),
    ("mlp", "backprop", Adam()),
    ("lenet", "bll", SGD()),
    ("mlp", "greedy", PLAIN),
    ("mlp", "predsim", SGD()),
    ("mlp", "dgl", AdamW(clip_norm=0.5)),
    ("lenet", "backprop", PLAIN),
    ("lenet", "greedy", Adam(weight_decay=0.01)),
    ("lenet", "dgl", MOMENTUM),
    ("resnet", "bll", MOMENTUM),
    ("resnet", "backprop", SGD(accumulate=2)),
    ("dscnn", "bll", MOMENTUM),
    ("lenet", "fa", SGD()),
    ("lenet", "infopro", SGD()),
    ("mlp", "sim", SGD()),
    ("mlp", "pred", SGD()),
    ("lenet", "predsim", PLAIN),
    ("resnet", "auglocal", SGD()),
    ("resnet", "backlink", SGD()),
    ("lenet", "man", SGD()),
]
#: On convolutions what the MLP shows of the same rule; `tests/unit/export/test_planned_networks.py` trains larger networks too.
AGAIN = [("lenet", rule) for rule in ("backprop", "greedy", "dgl", "predsim")]


@pytest.mark.parametrize(
    ("name", "rule", "optimizer"),
    slow_after(1, CASES, lambda name, rule, _: name not in ("mlp", "lenet") or (name, rule) in AGAIN),
)
def test_blocks_train_as_the_users_module_does(name: str, rule: str, optimizer: Optimizer, tmp_path: Path) -> None:
    check_training(name, rule, optimizer, tmp_path / "bundle")


@pytest.mark.slow
@pytest.mark.parametrize("form", BLL_FORMS)
def test_forms_of_bll_train_with_the_bits_of_the_c_runtime(form: str, tmp_path: Path) -> None:
    name, options = BLL_FORMS[form]
    network = make_network("mlp", num_blocks=3, num_classes=4, input_shape=(8,), seed=0, options={"width": 8, "depth": 3})
    bundle = exported(network, make_rule(name, **options), SGD(), tmp_path / "bundle")
    assert not [row for row in verify_bundle(tmp_path / "bundle", steps=3, network=network) if row.failed]
    assert not failures(replay(bundle, "block0", "ordered"))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "multilabel", "segmentation", "reconstruction"])
def test_tasks_that_are_no_classes_train(task: str, tmp_path: Path) -> None:
    """With the feedback of BLL that solves a linear system for them."""
    outputs = nn.Conv2d(4, 1 if task == "reconstruction" else 3, 1)
    last = outputs if task in ("segmentation", "reconstruction") else nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    blocks = [nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()), last]
    network = BlockNetwork(blocks, 1 if task == "reconstruction" else 3, (1, 6, 6), task=make_task(task))
    bundle = exported(network, make_rule("bll"), SGD(), tmp_path / "bundle")
    assert not [row for row in verify_bundle(tmp_path / "bundle", steps=2, network=network) if row.failed]
    assert plan_block(bundle, "block0").arena_bytes > 0


class Varied(nn.Module):
    """What people put in blocks besides convolutions: a counter of calls, dropout, norms, pooling, a join, a shuffle."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.table = nn.Embedding(9, 8)
        self.wide = nn.Sequential(nn.Conv1d(8, 8, 3, padding=2, dilation=2, groups=2), nn.GroupNorm(2, 8), nn.GELU())
        self.deep = nn.Sequential(nn.Conv1d(8, 8, 1), SeededDropout(0.25, seed=3), nn.InstanceNorm1d(8, affine=True), nn.SiLU())
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, 6) to (B, 4, 6)."""
        if self.training:
            self.calls += 1
        rows = self.table(x).transpose(1, 2)
        joined = torch.cat([self.wide(rows), self.deep(rows) + rows], 1)
        tiles = self.shuffle(joined.unflatten(2, (2, 3)))
        return nn.functional.max_pool2d(tiles.softmax(1), (1, 2), ceil_mode=True).flatten(2).amax(
            2, keepdim=True
        ) * tiles.flatten(2)


@pytest.mark.slow
def test_layers_of_all_kinds_train_and_are_planned(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks = [Varied(), nn.Sequential(nn.Flatten(), nn.Linear(96, 3))]
    network = BlockNetwork(blocks, 3, (6,), input_dtype="int64", input_range=(0, 8))
    bundle = exported(network, make_rule("bll"), AdamW(clip_norm=1.0), tmp_path / "bundle")
    assert not [row for row in verify_bundle(tmp_path / "bundle", steps=3, network=network) if row.failed]
    calls = next(place for place in plan_block(bundle, "block0").state.tensors if place.tensor.name == "net.calls")
    assert calls.tensor.dtype == "int64"
    assert not failures(replay(bundle, "block0", "ordered"))  # to the bits of the C runtime
    golden = bundle.golden("block0")
    assert golden["final/net.calls"] == bundle.manifest.golden_steps


#: Nodes and bytes of constants of the step graph of a block, BLL with momentum, batches of 1: most that there may be.
SIZES = [("mlp", 0, 85, 136), ("mlp", 1, 23, 40), ("resnet", 0, 243, 324), ("dscnn", 0, 364, 760)]


@pytest.mark.parametrize(("name", "index", "nodes", "constants"), slow_after(2, SIZES))
def test_graphs_stay_small(name: str, index: int, nodes: int, constants: int) -> None:
    step = make_steps(small_network_of(name), make_rule("bll"), MOMENTUM, 1)[index]
    graph = block_models(step, TARGET).models["step"].graph
    assert len(graph.node) <= nodes
    assert sum(len(constant.raw_data) for constant in graph.initializer) <= constants
