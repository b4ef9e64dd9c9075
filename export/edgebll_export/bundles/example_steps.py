"""Running a block's step on example inputs: what it cannot do with them is told in one sentence, and never recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from edgebll.data.token_stream import INPUT_RANGE
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, EdgebllError, ExportError
from edgebll.kernel.own_code.error_place import described, user_line
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.spec.time_chunks import repeated
from edgebll.learning import BlockStep, Stepped
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.inputs import NORMAL, Inputs, X
from edgebll_export.bundles.own_module_step import OwnModuleStep
from edgebll_export.tracing.untraceable import known_failure

#: Entry of a manifest's recipe: where the inputs of the golden vectors come from, see `Inputs.source`.
RECIPE = "inputs"


def example_step(
    step: BlockStep | OwnModuleStep,
    state: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    scalars: Mapping[str, Tensor],
    received: Mapping[str, Tensor],
    source: str,
) -> Stepped:
    """A training step, of which every result is a finite number.

    Args:
        step: of a block.
        state: the block's state before it.
        x: the block's input, a whole batch.
        y: its labels, in the form the step takes.
        scalars: what changes from step to step, such as the learning rate.
        received: what side streams bring to the block.
        source: where the network's inputs come from, for messages.

    Raises:
        ExportError: the block's code fails on x, or a result is NaN or infinite.
    """
    try:
        stepped = step(state, x, y, scalars, received)
    except EdgebllError:
        raise
    except Exception as error:
        known = known_failure(error)
        if known is not None:
            raise ExportError(f"{step.name}: {known}") from error
        where = user_line(error)
        reason = f"{described(error)}{f' ({where})' if where else ''}"
        raise ExportError(f"{step.name} fails on inputs from {source}: {reason}; {_cure(source)}") from error
    for name, value in _results(stepped):
        amount = _not_finite(value, state.get(name))
        if amount:
            raise ExportError(
                f"{step.name}: a training step on inputs from {source} gives {amount} in {name!r}, which no runtime can be "
                f"compared with; {_cure(source)}, or a smaller learning rate if it is that which leads there"
            )
    return stepped


def _results(stepped: Stepped) -> Iterator[tuple[str, Tensor]]:
    yield "a", stepped.a
    yield "metrics", stepped.metrics
    yield from stepped.sent.items()
    yield from stepped.state.items()


def _not_finite(value: Tensor, before: Tensor | None) -> str:
    """What a result has besides finite numbers; an attention mask of minus infinity that stays as it is does not count."""
    if not value.is_floating_point():
        return ""
    odd = ~value.isfinite()
    if before is not None:
        odd &= value != before
    if not odd.any():
        return ""
    return "NaN" if value[odd].isnan().any() else "an infinite number"


def _cure(source: str) -> str:
    if source == NORMAL:
        return "give the network's BlockNetwork example_inputs, a batch of samples that it is made for"
    return "give samples that the network can take"


def input_record(inputs: Inputs) -> dict[str, Any]:
    """What a manifest's recipe says of the inputs: where golden vectors come from, and the range that was declared."""
    return {RECIPE: inputs.source, **({INPUT_RANGE: list(inputs.range)} if inputs.range is not None else {})}


def verify_inputs(bundle: Bundle, network: BlockNetwork | None, examples: object) -> Inputs:
    """The inputs to verify a bundle with: given ones, else the network's own, else those of its golden vectors, else N(0, 1).

    Args:
        bundle: to be verified.
        network: the one that was exported, where it is not a shipped one.
        examples: a batch of samples, or None.

    Raises:
        ConfigError: the examples do not fit.
    """
    manifest = bundle.manifest
    first = manifest.blocks[0]
    side = {spec.name: Inputs(spec.shape, spec.dtype) for spec in of_a_sample(manifest.blocks)}
    declared = network.inputs if network is not None else Inputs(manifest.input_shape, first.input.dtype, side=side)
    inputs = declared.with_examples(examples)
    if inputs.source not in ("", NORMAL) or manifest.recipe.get(RECIPE) in (None, NORMAL) or not manifest.golden_steps:
        return inputs
    reading = {name: next(b.name for b in manifest.blocks if name in {t.name for t in b.received}) for name in side}
    recorded = {name: _recorded(bundle, block, name) for name, block in {X: first.name, **reading}.items()}
    return inputs.with_examples(recorded if side else recorded[X])


def _recorded(bundle: Bundle, block: str, name: str) -> Tensor:
    """An input of a block's golden steps, one after another."""
    golden = bundle.golden(block)
    try:
        found = [golden[f"{step}/{name}"] for step in range(bundle.manifest.golden_steps)]
        found = [repeated(bundle.manifest.block(block), value) for value in found] if name == X else found
    except KeyError as error:
        raise BundleError(f"{bundle.path} has no golden tensor {error}; export the bundle again") from error
    return torch.cat([torch.from_numpy(value.copy()) for value in found])
