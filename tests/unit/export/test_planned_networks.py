"""Plans of networks people train on microcontrollers: the arena they need, and the results of the user's modules."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.planned_graphs import check_lifetimes
from support.slow import slow_after
from support.small_networks import small_network_of

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.microcontroller import PlannedGraph
from edgebll.kernel.microcontroller.graph_plan import plan_graph
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, GemmKernel
from edgebll.kernel.microcontroller.plan_parts import Region
from edgebll.kernel.microcontroller.tensor_places import state_layout
from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_devices.runtimes.golden_replay import failures, replay
from edgebll_export import export_bundle, make_target
from edgebll_export.bundles.block_models import block_models

TARGET = make_target("microcontroller")
MOMENTUM = SGD(nesterov=False, weight_decay=0.0)


def network_of(name: str) -> BlockNetwork:
    """One of the small networks, or the residual one of 8 channels on 28 x 28."""
    if name != "resnet28":
        return small_network_of(name)
    options = {"width": 8}
    return make_network(
        "resnet8", num_blocks=3, num_classes=10, input_shape=(1, 28, 28), seed=0, options=options, split="stages"
    )


def planned_step(name: str, index: int, batch_size: int = 1) -> PlannedGraph:
    """The plan of a block's step, BLL with momentum."""
    step = make_steps(network_of(name), make_rule("bll"), MOMENTUM, batch_size)[index]
    content = block_models(step, TARGET).models["step"].SerializeToString()
    return plan_graph(content, "step.onnx", step.spec, "step", state_layout(step.spec))[-1]


#: Network, block, and bytes of the arena at the most for a batch of 1. A prototype that computed nothing again needed 672 for
#: the first, 33,900 and 91,956 for the residual network and DS-CNN.
ARENAS = [
    ("mlp", 0, 672),
    ("resnet", 0, 29_800),
    ("lenet", 0, 32_500),
    ("resnet28", 2, 14_956),
    ("dscnn", 0, 66_500),
]


@pytest.mark.parametrize(("name", "index", "most"), slow_after(2, ARENAS))
def test_the_arena_is_what_lives_at_once_and_no_gradient_of_a_weight(name: str, index: int, most: int) -> None:
    planned = planned_step(name, index)
    check_lifetimes(planned)
    assert planned.lower_bound_bytes <= planned.plan.arena_bytes <= 1.05 * planned.lower_bound_bytes
    assert planned.plan.arena_bytes <= most


@pytest.mark.parametrize("name", ["mlp", pytest.param("resnet", marks=pytest.mark.slow)])
def test_every_weight_is_updated_where_its_gradient_is_summed(name: str) -> None:
    """Products that write state: each weight that they read, or that takes an input, is one; none has a copy."""
    planned = planned_step(name, 0)
    updates = [
        kernel
        for kernel in planned.plan.kernels
        if isinstance(kernel, GemmKernel | ConvKernel)
        and any(kernel.operands[one.d - 8].region is Region.STATE for one in kernel.program if one.d >= 8)
    ]
    step = make_steps(network_of(name), make_rule("bll"), MOMENTUM, 1)[0]
    weights = [tensor for tensor in step.spec.state if tensor.name in step.trained and len(tensor.shape) > 1]
    assert len(updates) >= len(weights)


@pytest.mark.parametrize(("name", "batch_size"), slow_after(1, [("mlp", 1), ("lenet", 2), ("resnet", 2)]))
def test_plans_train_as_the_users_modules_do(name: str, batch_size: int, tmp_path: Path) -> None:
    """Golden vectors hold what the modules themselves gave; rounding may move a result no further than it moved theirs."""
    export_bundle(
        small_network_of(name),
        rule=make_rule("bll"),
        optimizer=MOMENTUM,
        batch_size=batch_size,
        path=tmp_path / "bundle",
        target=TARGET,
    )
    bundle = open_bundle(tmp_path / "bundle")
    for block in bundle.manifest.blocks:
        rows = replay(bundle, block.name, "ordered")
        assert rows
        assert failures(rows) == []
