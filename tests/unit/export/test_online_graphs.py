"""Training steps of blocks that learn online, as graphs: equal to PyTorch's, and as large for any number of time steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.slow import slow_after
from torch import Tensor

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.rule import Rule
from edgebll.learning.step_tensors import zeros
from edgebll_devices.runtimes.golden_replay import replay
from edgebll_export import export_bundle, verify_bundle
from edgebll_export.targets import make_target
from edgebll_export.tracing.trace import trace


def made(steps: int, **options: Any) -> BlockNetwork:
    how = {"width": 8, "depth": 2, "v_threshold": 0.3, **options}
    return make_network("spiking-mlp", num_blocks=2, num_classes=3, input_shape=(steps, 6), seed=0, options=how)


def export(path: Path, rule: Rule, batch: int, target: str = "onnx", **options: Any) -> None:
    how = {"batch_size": batch, "target": make_target(target), "path": path}
    export_bundle(made(6, **options), rule=rule, optimizer=SGD(), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", slow_after(1, ["eprop", "decolle"]))
def test_graphs_agree_over_ten_steps_of_samples_in_chunks(rule: str, tmp_path: Path) -> None:
    if rule == "decolle":
        export(tmp_path / "b", make_rule(rule, chunk=2), 4, neuron="cuba_lif", recurrent=True)
        carried = {"input1", "own0"}
    else:
        export(tmp_path / "b", make_rule(rule, chunk=2, kappa=0.5, c_reg=0.5), 4, neuron="alif", recurrent=True, norm="none")
        carried = {"seen", "adapted", "filtered", "b", "counted", "steps"}
    rows = verify_bundle(tmp_path / "b", steps=10, tolerance=1e-4)
    assert {row.tensor for row in rows} > {f"net.carried0_{name}.next" for name in carried}
    assert not [row for row in rows if row.failed]


@pytest.mark.slow
def test_a_microcontroller_has_the_bits_of_a_time_step(tmp_path: Path) -> None:
    """The natural form there: one sample, one time step."""
    export(tmp_path / "b", make_rule("decolle", chunk=1), 1, "microcontroller", norm="none")
    bundle = open_bundle(tmp_path / "b")
    for block in bundle.manifest.blocks:
        assert not [row for row in replay(bundle, block.name, "ordered") if row.failed]


def traced(step: BlockStep, scalars: dict[str, Tensor]) -> list[tuple[str, str]]:
    """The operators of a step on chunks of five time steps, in order, with the shape that each gives."""
    state = step.initial_state()
    given = {"x": torch.zeros(4, 5, 6), **zeros([step.spec.labels]), **scalars}

    def function(values: dict[str, Tensor]) -> dict[str, Tensor]:
        inside = {name: values[name] for name in state}
        stepped = step(inside, values["x"], values["y"], {name: values[name] for name in scalars})
        return {**stepped.state, "a": stepped.a}

    graph = trace(function, {**state, **given}, [step.module], "step").module.graph
    return [(str(node.target), str(getattr(node.meta.get("val"), "shape", ""))) for node in graph.nodes]


@pytest.mark.parametrize("steps", [100, 1000])
def test_memory_does_not_grow_with_time(steps: int) -> None:
    """Operators, their results and the state of a training step are those of samples of ten time steps."""
    scalars = {"lr": torch.tensor(0.1), "reset": torch.tensor(1.0)}
    short, long = (make_steps(made(length), make_rule("decolle", chunk=5), SGD(), 4)[0] for length in (10, steps))
    assert long.spec.chunks == steps // 5
    assert long.spec.state == short.spec.state
    assert traced(long, scalars) == traced(short, scalars)
