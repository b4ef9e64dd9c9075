"""Random modules, composed of what people do with modules: graph, functional step and plain PyTorch agree over six steps.

Modes, hooks, sharing, freezing, checkpointing, buffers and work in place come together in one module. The long form, with new
modules every time, is `tests/soak/random_modules.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from support import module_agreement
from support.module_agreement import check_agreement
from support.plain_training import by_pytorch, export
from support.planted import gradients_times
from support.random_modules import MAPS, SKETCHES, VECTORS, Again, Around, Layer, ModuleSketch, Step, Traits

from edgebll.learning import SGD
from edgebll.learning.networks import BlockNetwork
from edgebll_export import make_target

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
#: Every one of them at once: a shared batch norm in a checkpoint, hooks, a frozen and a tied weight, work in place.
TOGETHER = ModuleSketch(
    VECTORS,
    (
        Layer("linear", Traits(frozen="first", hooks=("forward",))),
        Layer("batch norm", Traits(gradient=-1.0)),
        Around("checkpoint", (Again(1), Layer("tied"), Layer("tanh")), Traits(hooks=("backward",))),
        Around("residual in place", (Again(0), Layer("leaky")), Traits(gradient=0.5)),
        Again(4),
    ),
)


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """All steps, those inside of others too."""
    for step in steps:
        yield step
        if isinstance(step, Around):
            yield from walk(step.steps)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(sketch=SKETCHES)
@example(sketch=TOGETHER)
def test_graph_function_and_plain_pytorch_agree(sketch: ModuleSketch) -> None:
    assume(check_agreement(sketch))


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(sketch=SKETCHES)
@example(sketch=TOGETHER)
def test_graphs_for_microcontrollers_agree_too(sketch: ModuleSketch) -> None:
    """None of these modules is refused."""
    assume(check_agreement(sketch, make_target("microcontroller")))


def test_what_other_tests_have_apart_comes_together() -> None:
    """One sketch in ten, at least, shares, hooks, freezes and checkpoints."""
    drawn: list[ModuleSketch] = []

    @settings(max_examples=100, deadline=None, derandomize=True, phases=[Phase.generate], database=None)
    @given(sketch=SKETCHES)
    def draw(sketch: ModuleSketch) -> None:
        drawn.append(sketch)

    draw()
    assert {sketch.space for sketch in drawn} == {VECTORS, MAPS}
    assert sum(map(has_all, drawn)) >= 0.1 * len(drawn)


def has_all(sketch: ModuleSketch) -> bool:
    """Whether it shares, hooks, freezes and checkpoints."""
    steps = list(walk(sketch.steps))
    traits = [step.traits for step in steps if not isinstance(step, Again)]
    shares = any(isinstance(step, Again) for step in steps[1:])
    checkpoints = any(isinstance(step, Around) and step.how == "checkpoint" for step in steps)
    return shares and checkpoints and any(one.hooks for one in traits) and any(one.frozen for one in traits)


def test_a_step_too_few_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison notices a graph that trains otherwise than PyTorch."""
    monkeypatch.setattr(
        module_agreement, "by_pytorch", lambda block, start, seen, dtype: by_pytorch(block, start, seen[:-1], dtype)
    )
    with pytest.raises(AssertionError, match="the graph differs from plain PyTorch"):
        check_agreement(TOGETHER)


def test_a_gradient_that_is_a_percent_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(network: BlockNetwork, folder: Path, **options: object) -> None:
        with gradients_times(SGD(), 1.01):
            export(network, folder, **options)

    monkeypatch.setattr(module_agreement, "export", planted)
    with pytest.raises(AssertionError, match="the graph differs from plain PyTorch"):
        check_agreement(TOGETHER)


def test_what_pytorch_cannot_train_is_refused() -> None:
    """The backward pass of tanh needs its result, which the residual overwrites."""
    assert check_agreement(ModuleSketch(VECTORS, (Layer("linear"), Layer("tanh"), Layer("relu in place"))))
