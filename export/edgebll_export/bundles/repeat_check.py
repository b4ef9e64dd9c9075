"""Refusing a block whose training step or forward pass is no function: called again, it must give the same again.

A graph is one call, recorded. What a module keeps between calls where its attributes do not show it (in an object, a closure, a
class or an iterator) would be a constant of it, and so would random numbers that are not PyTorch's. So the block is called
several times in a row from the same tensors, in both modes, as a plain training loop would: nothing is put back in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.kernel.own_code.error_place import summary
from edgebll.learning import BlockStep
from edgebll.learning.modules.forward_memory import kept_attributes, leaving_memory
from edgebll.learning.modules.module_record import Change, ModuleRecord
from edgebll.learning.step_tensors import scalar_tensors
from edgebll_export.bundles.golden_vectors import StepRecord
from edgebll_export.bundles.layer_calls import differing_layer, drawing_layer
from edgebll_export.bundles.repetition import GeneratorWatch, copied_results, repeating, same_results

#: Large, so that the new weights show every gradient.
_LR = 1.0
_CURE = "make what is kept a buffer (self.register_buffer in __init__), which is part of the block's state"


def check_all_repeatable(
    steps: Sequence[BlockStep], states: Mapping[str, Mapping[str, Tensor]], records: Sequence[StepRecord]
) -> None:
    """Refuse a network with a block that is no function of its state and inputs, see `check_repeatable`.

    Args:
        steps: all blocks in order, as functions.
        states: block name -> where it starts.
        records: of a step from there, one a block.
    """
    for step, record in zip(steps, records, strict=True):
        check_repeatable(step, states[step.name], record)


def check_repeatable(step: BlockStep, state: Mapping[str, Tensor], record: StepRecord) -> None:
    """Call a block several times from the same tensors; its module and all generators are as before afterwards.

    Args:
        step: of the block, as a function.
        state: where it starts.
        record: of a step from there.

    Raises:
        ConfigError: results differ, or numbers are drawn from Python's or numpy's generators; names the layer if it is known.
    """
    scalars = scalar_tensors({**record.scalars, "lr": _LR})
    first = _Point(state, torch.from_numpy(record.x), torch.from_numpy(record.y), scalars, _tensors(record.received))
    x = first.x[:1].expand_as(first.x)
    other = _Point(_tensors(record.state), x, first.y, scalars, first.received)
    with repeating(), leaving_memory():
        _Repetition(step, first, other).check()


@dataclass(frozen=True)
class _Point:
    """Where a block is called."""

    state: Mapping[str, Tensor]
    x: Tensor
    y: Tensor
    scalars: Mapping[str, Tensor]
    received: Mapping[str, Tensor]


class _Call(NamedTuple):
    point: _Point
    train: bool


class _Repetition:
    def __init__(self, step: BlockStep, first: _Point, other: _Point) -> None:
        self._step = step
        self._training, self._elsewhere, self._evaluation = _Call(first, True), _Call(other, True), _Call(first, False)
        modules = {id(module): module for module in (step.module, *(part.module for part in step.modules))}
        self._records = [ModuleRecord(module) for module in modules.values()]
        self._random = torch.get_rng_state()

    def check(self) -> None:
        """Call it: training three times in a row, for what alternates; between two evaluations, and elsewhere."""
        try:
            seen = {id(self._elsewhere): self._results(self._elsewhere)}
            self._restore()
            drawn = []
            for call in (self._evaluation, *[self._training] * 3, self._elsewhere, self._evaluation):
                watch = GeneratorWatch()
                results = self._results(call)
                drawn += [watch.moved()] if call is self._training else []
                expected = seen.setdefault(id(call), results)
                if not same_results(results, expected):
                    raise ConfigError(f"{self._step.name}: {self._reason(call, expected, watch.moved())}")
            if always := frozenset.intersection(*drawn):
                raise ConfigError(f"{self._step.name}: {self._drawing(self._training, always)}")
        finally:
            self._restore()

    def _results(self, call: _Call) -> dict[str, Tensor]:
        # PyTorch's own random numbers are refused when the step is traced, with the line that draws them.
        torch.set_rng_state(self._random)
        point, step = call.point, self._step
        try:
            if not call.train:
                return copied_results({"a": step.forward(point.state, point.x.clone(), point.received)})
            state, a, metrics, sent = step(point.state, point.x.clone(), point.y, point.scalars, point.received)
        except EdgebllError:
            raise
        except Exception as error:  # anything can happen in code of the user's
            raise ConfigError(f"{step.name} fails when it is called again: {summary(error)}; {_CURE}") from error
        return copied_results({**{f"state.{name}": value for name, value in state.items()}, "a": a, "metrics": metrics, **sent})

    def _restore(self) -> None:
        for record in self._records:
            record.restore()

    def _reason(self, call: _Call, expected: Mapping[str, Tensor], drawn: frozenset[str]) -> str:
        """Why a call gave other results than expected, in one sentence."""
        if drawn:
            return self._drawing(call, drawn)
        changes = [change for record in self._records for change in record.changes()]
        self._restore()
        if changes and same_results(self._results(call), expected):
            return _attributes(changes)
        layer = differing_layer(self._step.module, lambda: self._results(call)) or "it"
        return (
            f"{layer} gives other results when it is called again on the same inputs and weights, which no training step can: "
            "it keeps something between calls (in an object, a closure, a class or a global), or draws random numbers of its "
            f"own; {_CURE}, and leave chance to nn.Dropout"
        )

    def _drawing(self, call: _Call, drawn: frozenset[str]) -> str:
        layer = drawing_layer(self._step.module, lambda: self._results(call)) or "it"
        return (
            f"{layer} draws random numbers from {' and '.join(sorted(drawn))}, which would be constants of its graph; leave "
            "chance to nn.Dropout, for which a seeded layer stands in, or draw them where the inputs are made"
        )


def _attributes(changes: list[Change]) -> str:
    layer = changes[0].layer
    return kept_attributes(layer, [change.name for change in changes if change.layer == layer])


def _tensors(arrays: Mapping[str, object]) -> dict[str, Tensor]:
    return {name: torch.as_tensor(value) for name, value in arrays.items()}
