"""What the blocks of a bundle take of a microcontroller's memory, and which do not fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.microcontroller.arena import ALIGNMENT
from edgebll.kernel.microcontroller.block_plan import BlockPlan, RecomputeLevel, plan_block
from edgebll.kernel.microcontroller.graph_plan import PlannedGraph
from edgebll.kernel.spec.plan_versions import VERSION
from edgebll.kernel.spec.recompute import AUTO, NONE, check_choice
from edgebll.kernel.support.memory_sizes import memory_bytes, size_text

#: What edgebll's firmware takes itself, stack and buffers of the line included; no board's takes more.
FIRMWARE_RAM_BYTES, FIRMWARE_FLASH_BYTES = 12 << 10, 16 << 10
_GRAPHS = {"step": "training step", "forward": "forward pass", "feedback": "feedback head"}


@dataclass(frozen=True)
class BlockMemory:
    """What one block takes.

    Attributes:
        block: its name.
        state_bytes: of its state.
        arena_bytes: of what lives during a training step, a forward pass or a feedback head, whichever takes most.
        lower_bound_bytes: what is alive at once in it.
        plan_bytes: of the three plans.
        pool_bytes: all of this, as a board lays it out.
        fullest: which graph takes most, and what is alive in it where it is fullest, in words.
        levels: what it would take with nothing computed again, and with one activation more each.
        level: number of the one it is planned with, and so of the activations that a step computes again.
        plan_version: of its plans: firmware has to run it.
    """

    block: str
    state_bytes: int
    arena_bytes: int
    lower_bound_bytes: int
    plan_bytes: int
    pool_bytes: int
    fullest: str
    levels: tuple[RecomputeLevel, ...]
    level: int
    plan_version: int = VERSION

    @classmethod
    def of(cls, plan: BlockPlan) -> BlockMemory:
        """The memory of a planned block."""
        sizes = (plan.state_bytes, plan.arena_bytes, plan.lower_bound_bytes, plan.plan_bytes, plan.pool_bytes)
        graph = max(plan.graphs, key=lambda name: plan.graphs[name].plan.arena_bytes)
        fullest = f"{_GRAPHS[graph]}, which holds {_alive(plan.graphs[graph])}"
        return cls(plan.block, *sizes, fullest, plan.levels, plan.level, plan.plan_version)

    def sizes(self) -> dict[str, int | float]:
        """What people are told, by name."""
        told = {"state_bytes": self.state_bytes, "arena_bytes": self.arena_bytes, "lower_bound_bytes": self.lower_bound_bytes}
        chosen = self.trades()[self.level]
        return {**told, "plan_bytes": self.plan_bytes, "ram_bytes": self.ram_bytes, **chosen}

    def trades(self) -> list[dict[str, int | float]]:
        """What computing again saves and costs, by the number of activations: bytes, and instructions in per cent, about."""
        first = self.levels[0]
        return [
            {
                "recomputed": number,
                "recomputing_saves_bytes": first.arena_bytes - level.arena_bytes,
                "recomputing_costs_percent": round(100 * (level.instructions / first.instructions - 1), 2),
            }
            for number, level in enumerate(self.levels)
        ]

    @property
    def kept_bytes(self) -> int:
        """What stays between steps: state and plans."""
        return self.pool_bytes - -(-self.arena_bytes // ALIGNMENT) * ALIGNMENT

    @property
    def ram_bytes(self) -> int:
        """RAM of a board that hosts this block alone."""
        return self.pool_bytes + FIRMWARE_RAM_BYTES

    @property
    def flash_bytes(self) -> int:
        """Flash of a board that keeps its plans and initial state there, beside the program."""
        return self.plan_bytes + self.state_bytes + FIRMWARE_FLASH_BYTES


def block_memories(bundle: Bundle) -> list[BlockMemory]:
    """Plan every block of a bundle, and tell what it takes.

    Args:
        bundle: exported for the target "microcontroller".

    Raises:
        BundleError: a block cannot run on a microcontroller.
    """
    return [BlockMemory.of(plan_block(bundle, block.name)) for block in bundle.manifest.blocks]


def shared_pool_bytes(blocks: Iterable[BlockMemory]) -> int:
    """Bytes that blocks of one board take together: as only one is computed at a time, they share the largest arena."""
    memories = list(blocks)
    shared = max((one.pool_bytes - one.kept_bytes for one in memories), default=0)
    return shared + sum(one.kept_bytes for one in memories)


@dataclass(frozen=True)
class MicrocontrollerLimits:
    """Memory of a microcontroller, None for any, and how much time may be spent to need less of it.

    Attributes:
        ram_bytes: for data.
        flash_bytes: for the program.
        recompute: "none" of the activations is computed again in the place of being kept, "all" that makes the memory smaller,
            or "auto": as few as fit into ram_bytes, all where that is None.
    """

    ram_bytes: int | None = None
    flash_bytes: int | None = None
    recompute: str = AUTO

    @classmethod
    def of(cls, ram: str | int | None, flash: str | int | None, recompute: str | None = None) -> MicrocontrollerLimits:
        """From sizes as people write them.

        Args:
            ram: e.g. "128k".
            flash: e.g. "512k".
            recompute: "auto", "none" or "all"; by default "auto".

        Raises:
            WrongValue: one of them is no size, or no such choice.
        """
        check_choice(recompute or AUTO)
        sizes = [None if size is None else memory_bytes(name, size) for name, size in (("ram", ram), ("flash", flash))]
        return cls(sizes[0], sizes[1], recompute or AUTO)

    def level_for(self, block: BlockMemory) -> int:
        """How many activations a block is to compute again: as few as fit, or as many as it can where that does not suffice."""
        last = len(block.levels) - 1
        if self.recompute != AUTO or self.ram_bytes is None:
            return 0 if self.recompute == NONE else last
        room = self.ram_bytes - FIRMWARE_RAM_BYTES
        return next((number for number, level in enumerate(block.levels) if level.pool_bytes <= room), last)

    def problem(self, needed: Iterable[BlockMemory]) -> str | None:
        """Why blocks do not fit: the first of them in one sentence, with what takes most; None where all do."""
        for one in needed:
            if self.ram_bytes is not None and one.ram_bytes > self.ram_bytes:
                return _too_much_ram(one, self.ram_bytes)
            if self.flash_bytes is not None and one.flash_bytes > self.flash_bytes:
                parts = f"plans {size_text(one.plan_bytes)}, state {size_text(one.state_bytes)}, the program the rest"
                taken, there = size_text(one.flash_bytes), size_text(self.flash_bytes)
                return f"{one.block} takes {taken} of flash ({parts}), and there are {there}"
        return None


def _too_much_ram(one: BlockMemory, limit: int) -> str:
    parts = f"state {size_text(one.state_bytes)}, plans {size_text(one.plan_bytes)}, arena {size_text(one.arena_bytes)}"
    taken, firmware = size_text(one.ram_bytes), size_text(FIRMWARE_RAM_BYTES)
    most = "most of it is state: weights, moments and statistics"
    if one.arena_bytes > one.state_bytes:
        most = f"most is alive in its {one.fullest}"
    return f"{one.block} takes {taken} of RAM ({parts}, firmware {firmware}), and there are {size_text(limit)}; {most}"


def _alive(graph: PlannedGraph) -> str:
    """What lies in the arena at the fullest time."""
    spans = graph.lifetimes
    fullest = max(
        (span.start for span in spans),
        key=lambda time: sum(span.size_bytes for span in spans if span.start <= time <= span.end),
        default=0,
    )
    there = [span for span in spans if span.start <= fullest <= span.end]
    if not there:
        return "nothing"
    largest = max((buffer for span in there for buffer in span.buffers), key=lambda buffer: buffer.size_bytes)
    shape = [size for size in largest.shape if size != 1]
    return f"{len(there)} values then, the largest {'x'.join(map(str, shape)) or 'a number'}"
