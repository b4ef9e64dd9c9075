"""How much memory a board needs for its blocks, estimated from the bundle before anything is loaded.

Of each block: its state in the two sets that a step reads and writes, and in two copies where a snapshot is taken, sent and
written; what is frozen, which its graphs hold and a runtime packs for its products; what its graphs' results take at once, as
their files tell, times what ONNX Runtime's arena was seen to take for it; and the runtime's own. Of a board: the tokens that
may wait there, up to the window. How far off it was: docs/explanation/reliability.md.

A microcontroller on a serial port takes what the plans of its blocks say, to the byte; what waits, waits at its agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from edgebll.kernel.bundle import CONSTANTS, Bundle
from edgebll.kernel.microcontroller.block_memory import BlockMemory, block_memories, shared_pool_bytes
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll.kernel.spec.side_inputs import chain_bytes

#: Copies of the state and of what is frozen; bytes for each byte of results alive at once, of a step and of a forward pass; a
#: block's own bytes.
STATE_COPIES, CONSTANT_COPIES, STEP_FACTOR, FORWARD_FACTOR, BLOCK_BYTES = 4, 3, 2.0, 1.5, 6 << 20
#: Bytes a board needs once: the runtime's library.
BOARD_BYTES = 12 << 20
#: Where a file does not tell, of an earlier release: at least so much for each byte that a block takes and gives.
_UNKNOWN_FACTOR = 8
_CPU = "onnxruntime"


@dataclass(frozen=True)
class Needs:
    """Bytes by block.

    Attributes:
        blocks: of each block where it is computed on a processor by ONNX Runtime.
        states: where it is computed elsewhere, e.g. in a GPU's own memory: copies of its state alone.
        tokens: that may wait for it.
        planned: what they take of a microcontroller; plans are made when it is asked for.
    """

    blocks: Mapping[str, int]
    states: Mapping[str, int]
    tokens: Mapping[str, int]
    planned: Callable[[], Mapping[str, BlockMemory]] = dict

    def of(self, blocks: tuple[str, ...], runtime: str = _CPU) -> int:
        """Bytes a board needs for these blocks; 0 for none.

        Raises:
            BundleError: it is a microcontroller, and they cannot run there.
        """
        if not blocks:
            return 0
        if runtime == SERIAL:
            return shared_pool_bytes(self.planned()[name] for name in blocks)
        each = self.blocks if runtime == _CPU else self.states
        return BOARD_BYTES + sum(each[name] for name in blocks) + max(self.tokens[name] for name in blocks)

    def plan_version(self, blocks: tuple[str, ...]) -> int:
        """Version of plans that a microcontroller's firmware has to run for these blocks; 0 for none.

        Raises:
            BundleError: they cannot run there.
        """
        return max((self.planned()[name].plan_version for name in blocks), default=0)


def needs(bundle: Bundle, window: int) -> Needs:
    """What the blocks of a bundle need.

    Args:
        bundle: with its graphs.
        window: tokens in flight.

    Raises:
        BundleError: a graph is missing or damaged.
    """
    specs = bundle.manifest.blocks
    states = {spec.name: STATE_COPIES * spec.state_bytes for spec in specs}
    return Needs(
        {spec.name: states[spec.name] + _frozen(bundle, spec) + _results(bundle, spec) + BLOCK_BYTES for spec in specs},
        states,
        {spec.name: window * chain_bytes(specs[index:]) for index, spec in enumerate(specs)},
        cache(lambda: {memory.block: memory for memory in block_memories(bundle)}),
    )


def _frozen(bundle: Bundle, spec: BlockSpec) -> int:
    entry = bundle.manifest.files.get(f"{spec.name}/{CONSTANTS}")
    return 0 if entry is None else CONSTANT_COPIES * entry.size_bytes


def _results(bundle: Bundle, spec: BlockSpec) -> int:
    """Bytes of what is computed, between the state and the next state."""
    ends = sum(tensor.size_bytes for tensor in (spec.input, spec.output, *spec.received, *spec.sent))
    step, forward = (bundle.peak_bytes(spec.name, graph) for graph in ("step", "forward"))
    if step is None or forward is None:
        return _UNKNOWN_FACTOR * ends
    return int(STEP_FACTOR * step + FORWARD_FACTOR * forward) + 2 * ends
