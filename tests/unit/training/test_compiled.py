"""Compiled steps: the same step, compiled once for the whole run."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from edgebll.errors import ConfigError
from edgebll.learning import SGD, BlockStep, SideStreams, make_rule, make_steps
from edgebll.networks import make_network
from edgebll.training import compiled
from edgebll.training.compiled import CompiledStep, Programs, why_no_compiler
from edgebll.training.placement import Placement

BATCH = 8
RATES = (0.01, 0.02, 0.005)


def steps_of(network: str, blocks: int, rule: str = "bll", **options: object) -> list[BlockStep]:
    made = make_network(network, num_blocks=blocks, num_classes=10, input_shape=(1, 8, 8), seed=0, options=options)
    return make_steps(made, make_rule(rule), SGD(), BATCH)


def run(steps: list[BlockStep], calls: list[CompiledStep] | list[BlockStep], place: Placement) -> dict[str, Tensor]:
    """States, outputs and metrics after a step for each of RATES, by name; the same inputs for the same calls."""
    edges = make_rule("backlink" if steps[0].spec.sent else "bll").edges([step.name for step in steps])
    streams = SideStreams([step.spec for step in steps], edges, place=place.put)
    states = {step.name: place.put_all(step.initial_state()) for step in steps}
    generator = torch.Generator().manual_seed(1)
    found = {}
    for rate in RATES:
        x = place.put(torch.randn(BATCH, 1, 8, 8, generator=generator))
        y = torch.eye(10)[torch.randint(10, (BATCH,), generator=generator)]
        for step, call in zip(steps, calls, strict=True):
            stepped = call(states[step.name], x, y, {"lr": torch.tensor(rate)}, streams.take(step.name))
            states[step.name], x = stepped.state, stepped.a
            streams.put(step.name, stepped.sent)
            found |= {f"{step.name} metrics": stepped.metrics, f"{step.name} a": stepped.a}
    return found | {f"{block} {name}": value for block, state in states.items() for name, value in state.items()}


@pytest.mark.parametrize(
    ("network", "blocks", "rule", "channels_last"),
    [("resnet8", 2, "bll", True), ("resnet8", 2, "backlink", True), ("mlp", 2, "greedy", False)],
)
def test_a_compiled_step_does_what_the_step_does_and_is_compiled_once(
    network: str, blocks: int, rule: str, channels_last: bool
) -> None:
    """Three steps with three learning rates: one program a block, and running statistics, side streams and all agree."""
    options = {"width": 4} if network == "resnet8" else {}
    steps, place = steps_of(network, blocks, rule, **options), Placement(torch.device("cpu"), channels_last)
    programs: Programs = {}
    told: list[str] = []
    calls = [CompiledStep(step, programs, told.append, "aot_eager") for step in steps]
    counters.clear()
    ours, expected = run(steps, calls, place), run(steps, steps, place)
    assert counters["stats"]["unique_graphs"] == blocks
    assert len(programs) == blocks
    assert [text.split(";")[0] for text in told] == [f"compiling the step of block{k}" for k in range(blocks)]
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    moved = [name for name in expected if "running_mean" in name]
    assert moved
    assert all(bool(expected[name].any()) for name in moved)


def test_blocks_with_the_same_program_share_it() -> None:
    """Blocks 1 to 3 of this network are alike."""
    steps = steps_of("mlp", 6, "greedy", width=16, depth=6)
    programs: Programs = {}
    told: list[str] = []
    counters.clear()
    run(steps, [CompiledStep(step, programs, told.append, "aot_eager") for step in steps], Placement(torch.device("cpu")))
    assert len(programs) == len(told) == counters["stats"]["unique_graphs"] == 3


def test_results_in_another_layout_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may return a tensor in another layout than it came in; the next call must not need another program."""
    (step,) = steps_of("resnet8", 1, "backprop", width=4)

    def other_layout(module: torch.fx.GraphModule, _: object) -> object:
        def call(*values: Tensor) -> list[Tensor]:
            found = module(*values)
            return [v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in found]

        return call

    place, counted = Placement(torch.device("cpu")), counters
    counted.clear()
    ours = run([step], [CompiledStep(step, {}, lambda _: None, other_layout)], place)
    assert counted["stats"]["unique_graphs"] == 1
    expected = run([step], [step], place)
    assert all(ours[name].stride() == value.stride() for name, value in expected.items() if "net." in name)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


def test_a_compiler_that_fails_is_told_in_one_sentence() -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("no such instruction")

    (step,) = steps_of("mlp", 1, "backprop")
    with pytest.raises(
        ConfigError, match=r"the step of block0 cannot be compiled here: .*no such instruction.*; do not compile"
    ):
        run([step], [CompiledStep(step, {}, lambda _: None, broken)], Placement(torch.device("cpu")))


def test_what_compiling_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled.shutil, "which", lambda _: "/usr/bin/g++")
    monkeypatch.setattr(compiled, "find_spec", lambda _: None)
    assert why_no_compiler("cpu") == ""
    assert why_no_compiler("cuda") == "the package triton is missing"
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    assert why_no_compiler("cpu") == "there is no C++ compiler"


@pytest.mark.skipif(
    shutil.which("g++") is None, reason="no g++ here: install it and run pytest tests/unit/training/test_compiled.py"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_real_compiler() -> None:
    (step,) = steps_of("mlp", 1, "backprop", width=4, depth=1)
    counters.clear()
    place = Placement(torch.device("cpu"))
    ours = run([step], [CompiledStep(step, {}, lambda _: None)], place)
    assert counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(ours, run([step], [step], place), rtol=1e-4, atol=1e-6)
