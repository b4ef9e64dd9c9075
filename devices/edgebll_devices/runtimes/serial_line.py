"""A block on a microcontroller behind a serial line: its plans and its state live there, inputs go out, outputs come back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.execution.block_runtime import Tensor
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.microcontroller import BlockPlan, plan_block, plan_int8_forward
from edgebll.kernel.microcontroller.planned_block import PlannedBlock
from edgebll.kernel.state.block_state import Array, State
from edgebll_devices.runtimes.serial_plans import SerialPlans


class SerialBlock(PlannedBlock):
    """A block on a microcontroller; build it with `load_block`.

    Args:
        bundle: exported for the target "microcontroller".
        block: name of one of its blocks.
        load_context: names the port.

    Raises:
        ConfigError: it names none. BundleError: the block cannot run on microcontrollers. BoardError: nobody is at the port, it
            has no room, or its firmware does not run such plans.
    """

    def __init__(self, bundle: Bundle, block: str, *, load_context: LoadContext) -> None:
        self.spec = bundle.manifest.block(block)
        self._plan = _planned(_PlanOf(bundle.manifest_sha256, block, bundle))
        self._there = SerialPlans(self._plan, load_context)
        try:
            self.load_state(bundle.state(block))
        except BaseException:
            self.close()
            raise

    def _run(self, graph: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._there.run(graph, values)

    @property
    def line_bytes(self) -> tuple[int, int]:
        """See BlockRuntime."""
        return self._there.line.sent_bytes, self._there.line.unpacked_bytes

    def state(self) -> dict[str, Array]:
        """See BlockRuntime."""
        return self._plan.state.read(self._there.state())

    def load_state(self, state: State) -> None:
        """See BlockRuntime. Where the microcontroller was restarted or its line lost before, the block is put there anew.

        Args:
            state: all tensors.
        """
        check_state(self.spec, state, self.spec.name)
        self._there.be_there(lambda: None)
        region = bytearray(self._plan.state_bytes)
        self._plan.state.write(region, state)
        self._there.load_state(bytes(region))

    def close(self) -> None:
        """See BlockRuntime."""
        self._there.close()


class SerialInt8Forward:
    """A block's quantised forward pass on a microcontroller, whose firmware runs int8.

    Args:
        bundle: of `edgebll quantize`, exported for the target "microcontroller".
        block: name of one of its blocks.
        load_context: names the port.

    Raises:
        ConfigError: it names none. BundleError: the bundle is not quantised. BoardError: nobody is at the port, it has no room,
            or its firmware does not run int8.
    """

    def __init__(self, bundle: Bundle, block: str, *, load_context: LoadContext) -> None:
        self._there = SerialPlans(plan_int8_forward(bundle, block), load_context)

    def evaluate(self, x: Array, inputs: Mapping[str, Array] | None = None) -> Array:
        """x (B, ...), as the block takes it, and side inputs by name, to a (B, ...) float32."""
        return self._there.run("forward", {"x": x, **(inputs or {})})["a"]

    def close(self) -> None:
        """Take the block away, and give the port back."""
        self._there.close()


@dataclass(frozen=True)
class _PlanOf:
    """A block to plan; the bundle is the same where its manifest is."""

    manifest_sha256: str
    block: str
    bundle: Bundle = field(compare=False)


@functools.lru_cache(maxsize=4)
def _planned(wanted: _PlanOf) -> BlockPlan:
    """The plans of a block; a recovery soon asks for them again."""
    return plan_block(wanted.bundle, wanted.block)
