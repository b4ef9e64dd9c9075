"""Plans of a block on a microcontroller behind a serial line: put there, run there, with their state read and written."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping

import numpy as np

from edgebll.kernel.errors import BoardError, ConfigError, LinkError
from edgebll.kernel.execution.block_runtime import Tensor
from edgebll.kernel.execution.load_context import SERIAL_PORTS, LoadContext
from edgebll.kernel.microcontroller import BlockPlan, TensorPlace
from edgebll.kernel.spec.plan_versions import INT8_CURE
from edgebll.kernel.transport.serial_address import parse_port
from edgebll_devices.microcontroller import requests
from edgebll_devices.microcontroller.line_tensors import LineTensors
from edgebll_devices.microcontroller.microcontroller import microcontroller_at
from edgebll_devices.microcontroller.pool_layout import MemoryNeed, PlacedBlock
from edgebll_devices.microcontroller.replies import BoardReport
from edgebll_devices.microcontroller.requests import Span

#: In the order in which the firmware has them.
_GRAPHS = ("step", "forward", "feedback")
_SAY_S = 5.0


class SerialPlans:
    """What a block has on a microcontroller. Close it when done.

    Args:
        plan: of the block.
        load_context: names the port.

    Raises:
        ConfigError: it names none. BoardError: nobody is at the port, it has no room, or its firmware does not run such plans.
    """

    def __init__(self, plan: BlockPlan, load_context: LoadContext) -> None:
        if not load_context.serial_port:
            raise ConfigError(f"the runtime serial needs the port of a microcontroller; set {SERIAL_PORTS}=/dev/ttyACM0, say")
        self._plan, self._address = plan, parse_port(load_context.serial_port)
        self._plans = [plan.encoded.get(name, b"") for name in _GRAPHS]
        self._hash = hashlib.sha256(b"".join(self._plans)).digest()[: requests.HASH_BYTES]
        self._life, self._runs = -1, 0
        self.line = LineTensors()
        self._placed: PlacedBlock | None = None
        self._stack = contextlib.ExitStack()
        self._board = self._stack.enter_context(microcontroller_at(self._address))
        try:
            self.be_there(_Patience(load_context, f"{plan.block} waits for the microcontroller at {self._address}"))
        except BaseException:
            self.close()
            raise

    def be_there(self, check: Callable[[], None]) -> None:
        """Greet the microcontroller, and put the plans there unless they are.

        Args:
            check: called now and then while nobody answers; may raise to end the waiting.

        Raises:
            BoardError: nobody answers, or it refuses them.
        """
        try:
            report = self._board.ready(check)
            self.line.greeted(report)
            if self._placed is None or self._life != self._board.lives:
                self._check_version(report)
                self._put()
        except LinkError as error:
            raise BoardError(f"{self._plan.block}: {error}") from error  # others may take the block: this one was waited for

    def _check_version(self, report: BoardReport) -> None:
        if self._plan.plan_version > report.plan_version:
            there = f"the firmware at {self._address} runs plans of float32 alone"
            raise BoardError(f"{self._plan.block} computes in int8, and {there}; {INT8_CURE}")

    def _put(self) -> None:
        self._placed, self._life, self._runs = None, self._board.lives, 0
        need = MemoryNeed(tuple(map(len, self._plans)), self._plan.state_bytes, self._plan.arena_bytes)
        placed = self._board.place(self._plan.block, need)
        try:
            plans = list(zip(placed.plans, self._plans, strict=True))
            wanted = [request for span, data in plans for request in self.line.writes(span.offset, data)]
            self._board.exchange([*wanted, requests.set_up(placed.slot, self._hash, 0, placed.state, placed.arena, plans)])
        except BaseException:
            self._board.release(placed, self._life)
            raise
        self._placed = placed

    def run(self, graph: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inputs, the run and its outputs, between which no other block's run comes.

        Args:
            graph: "step", "forward" or "feedback".
            values: by the name of the input.

        Returns:
            Every output by its name.

        Raises:
            LinkError: the block is not there any more. BoardError: it was refused.
        """
        placed, planned = self._there(), self._plan.graphs[graph]
        inputs = [(self._span(place, placed.arena), values[place.tensor.name].tobytes()) for place in planned.inputs]
        outputs = [(place.tensor, self._span(place, placed.arena)) for place in planned.outputs]
        wanted = [
            request
            for place, (span, data) in zip(planned.inputs, inputs, strict=True)
            for request in self.line.tensor_writes(place.tensor, span.offset, data)
        ]
        wanted.append(requests.run(placed.slot, _GRAPHS.index(graph), self._runs + 1, inputs))
        with self._board.alone():
            found = self.line.exchange(self._board.exchange, wanted, outputs)
        self._runs += 1
        return {place.tensor.name: tensor_in(place, data, 0) for place, data in zip(planned.outputs, found, strict=True)}

    def state(self) -> bytes:
        """All bytes of the state region."""
        return b"".join(self._board.exchange(self.line.reads(self._there().state)))

    def load_state(self, region: bytes) -> None:
        """Replace the state region.

        Args:
            region: all of its bytes.
        """
        self._board.exchange(self.line.writes(self._there().state.offset, region))

    def close(self) -> None:
        """Take the plans away, and give the port back."""
        if self._placed is not None:
            self._board.release(self._placed, self._life)
            self._placed = None
        self._stack.close()

    def _there(self) -> PlacedBlock:
        if self._placed is None or self._life != self._board.lives:
            raise LinkError(f"{self._plan.block} is not on its microcontroller any more; its state has to be loaded again")
        return self._placed

    def _span(self, place: TensorPlace, region: Span) -> Span:
        return Span(region.offset + place.offset, place.tensor.size_bytes)


class _Patience:
    """Called while nobody answers: ends the waiting where the load is halted, and says now and then what is waited for."""

    def __init__(self, load_context: LoadContext, text: str) -> None:
        self._load_context, self._text, self._said_s = load_context, text, time.monotonic()

    def __call__(self) -> None:
        self._load_context.check()
        if time.monotonic() - self._said_s > _SAY_S:
            self._said_s = time.monotonic()
            self._load_context.say(self._text)


def tensor_in(place: TensorPlace, data: bytes, offset: int) -> Tensor:
    """A tensor as a view of bytes.

    Args:
        place: its dtype and shape.
        data: the bytes.
        offset: where in them.
    """
    return np.ndarray(place.tensor.shape, np.dtype(place.tensor.dtype), data, offset)
