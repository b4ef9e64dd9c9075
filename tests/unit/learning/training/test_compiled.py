"""Compiled steps: the same step, compiled once for the whole run."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import torch
from support.slow import slow_after
from torch import Tensor
from torch._dynamo.utils import counters

from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning import SGD, BlockStep, SideStreams, fine_tuned, make_rule, make_steps
from edgebll.learning.networks import make_network
from edgebll.learning.training import compiled
from edgebll.learning.training import torch_device as placement
from edgebll.learning.training.compiled import CompiledStep, Programs
from edgebll.learning.training.torch_device import TensorPlacement, why_no_compiler

BATCH = 8
RATES = (0.01, 0.02, 0.005)


def steps_of(network: str, blocks: int, rule: str = "bll", **options: object) -> list[BlockStep]:
    made = make_network(network, num_blocks=blocks, num_classes=10, input_shape=(1, 8, 8), seed=0, options=options)
    return make_steps(made, make_rule(rule), SGD(), BATCH)


def run(steps: list[BlockStep], calls: list[CompiledStep] | list[BlockStep], place: TensorPlacement) -> dict[str, Tensor]:
    """States, outputs and metrics after a step for each of RATES, by name; the same inputs for the same calls."""
    edges = make_rule("backlink" if steps[0].spec.sent else "bll").edges([step.name for step in steps])
    streams = SideStreams([step.spec for step in steps], edges, place=place.put)
    states = {step.name: place.put_all(step.initial_state()) for step in steps}
    generator = torch.Generator().manual_seed(1)
    found: dict[str, Tensor] = {}
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
    slow_after(1, [("mlp", 2, "greedy", False), ("resnet8", 2, "bll", True), ("resnet8", 2, "backlink", True)]),
)
def test_a_compiled_step_does_what_the_step_does_and_is_compiled_once(
    network: str, blocks: int, rule: str, channels_last: bool
) -> None:
    """Three steps with three learning rates: one program a block, and running statistics, side streams and all agree."""
    options = {"width": 4} if network == "resnet8" else {}
    steps, place = steps_of(network, blocks, rule, **options), TensorPlacement(torch.device("cpu"), channels_last)
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


def test_frozen_weights_are_in_the_program() -> None:
    """A block that does not train, and one with adapters: both compiled, and programs with weights in them are not shared."""
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0, options={"width": 16})
    tuned = fine_tuned(network, FineTuning(("block0",), adapter="lora", rank=2))
    steps, place = make_steps(tuned, make_rule("bll"), SGD(), BATCH), TensorPlacement(torch.device("cpu"))
    place.put_constants(steps)
    programs: Programs = {}
    calls = [CompiledStep(step, programs, lambda text: None, "aot_eager") for step in steps]
    ours, expected = run(steps, calls, place), run(steps, steps, place)
    assert [call.is_compiled for call in calls] == [True, True]
    assert programs == {}
    for name, value in expected.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_blocks_with_the_same_program_share_it() -> None:
    """Blocks 1 to 3 of this network are alike."""
    steps = steps_of("mlp", 6, "greedy", width=16, depth=6)
    programs: Programs = {}
    told: list[str] = []
    counters.clear()
    run(steps, [CompiledStep(step, programs, told.append, "aot_eager") for step in steps], TensorPlacement(torch.device("cpu")))
    assert len(programs) == len(told) == counters["stats"]["unique_graphs"] == 3


def test_blocks_that_differ_in_a_number_alone_do_not_share() -> None:
    """The same tensors, another weight decay."""
    network = make_network("mlp", num_blocks=1, num_classes=10, input_shape=(1, 8, 8), seed=0, options={"width": 8, "depth": 1})
    programs: Programs = {}
    for decay in (0.0, 0.5):
        steps = make_steps(network, make_rule("backprop"), SGD(weight_decay=decay), BATCH)
        place = TensorPlacement(torch.device("cpu"))
        ours = run(steps, [CompiledStep(step, programs, lambda _: None, "aot_eager") for step in steps], place)
        torch.testing.assert_close(ours, run(steps, steps, place), rtol=1e-3, atol=1e-5)
    assert len(programs) == 2


def test_results_in_another_layout_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may return a tensor in another layout than it came in; the next call must not need another program."""
    (step,) = steps_of("resnet8", 1, "backprop", width=4)

    def other_layout(module: torch.fx.GraphModule, _: object) -> object:
        def call(*values: Tensor) -> list[Tensor]:
            found = module(*values)
            return [v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in found]

        return call

    place, counted = TensorPlacement(torch.device("cpu")), counters
    counted.clear()
    ours = run([step], [CompiledStep(step, {}, lambda _: None, other_layout)], place)
    assert counted["stats"]["unique_graphs"] == 1
    expected = run([step], [step], place)
    assert all(ours[name].stride() == value.stride() for name, value in expected.items() if "net." in name)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("error", [RuntimeError("no such instruction"), subprocess.CalledProcessError(1, "gcc")])
def test_a_step_that_the_compiler_fails_on_runs_as_it_is(error: Exception) -> None:
    """And is told in one line, once."""

    def broken(*_: object) -> object:
        raise error

    (step,) = steps_of("mlp", 1, "backprop")
    told: list[str] = []
    call = CompiledStep(step, {}, told.append, broken)
    place = TensorPlacement(torch.device("cpu"))
    ours, expected = run([step], [call], place), run([step], [step], place)
    assert not call.is_compiled
    assert all(torch.equal(ours[name], value) for name, value in expected.items())
    assert len(told) == 2
    assert told[1].startswith("the step of block0 cannot be compiled here (")
    assert str(error) in told[1]
    assert told[1].endswith("); it runs uncompiled")


def test_batch_norm_of_gpus_is_taken_apart_rightly() -> None:
    """The operator that PyTorch has for cuDNN: outputs, running statistics and gradients as on the processor."""
    aten = torch.ops.aten
    table = compiled.taken_apart()
    x, weight, bias, slope = torch.randn(4, 3, 5, 5), torch.randn(3), torch.randn(3), torch.randn(4, 3, 5, 5)
    statistics = [torch.zeros(3), torch.ones(3)]
    leaves = [value.clone().requires_grad_() for value in (x, weight, bias)]
    expected_statistics = [value.clone() for value in statistics]
    expected = torch.nn.functional.batch_norm(
        leaves[0], expected_statistics[0], expected_statistics[1], leaves[1], leaves[2], True, 0.1, 1e-5
    )
    out, mean, spread, reserve = table[aten.cudnn_batch_norm.default](x, weight, bias, *statistics, True, 0.1, 1e-5)
    torch.testing.assert_close(out, expected.detach())
    torch.testing.assert_close(statistics, expected_statistics)
    backward = table[aten.cudnn_batch_norm_backward.default]
    gradients = backward(x, slope, weight, *statistics, mean, spread, 1e-5, reserve)
    torch.testing.assert_close(list(gradients), list(torch.autograd.grad(expected, leaves, slope)))


def test_what_compiling_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/g++")
    monkeypatch.setattr(placement, "find_spec", lambda _: None)
    assert why_no_compiler("cpu") == ""
    assert why_no_compiler("cuda") == "the package triton is missing"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert why_no_compiler("cpu") == "there is no C++ compiler"


@pytest.mark.skipif(
    shutil.which("g++") is None, reason="no g++ here: install it and run pytest tests/unit/learning/training/test_compiled.py"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_real_compiler() -> None:
    (step,) = steps_of("mlp", 1, "backprop", width=4, depth=1)
    counters.clear()
    place = TensorPlacement(torch.device("cpu"))
    ours = run([step], [CompiledStep(step, {}, lambda _: None)], place)
    assert counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(ours, run([step], [step], place), rtol=1e-4, atol=1e-6)
