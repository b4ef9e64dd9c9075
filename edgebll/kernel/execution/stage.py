"""One block on a board: takes the tokens of its streams strictly in order and says what goes on to whom. No sockets."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgebll.kernel.errors import LinkError, WireError
from edgebll.kernel.execution.token_turn import may_be_applied
from edgebll.kernel.spec.edge_check import EdgeSpec, received_name
from edgebll.kernel.spec.manifest import Manifest, TensorSpec
from edgebll.kernel.spec.side_inputs import carried_inputs, read_by
from edgebll.kernel.spec.time_chunks import step_input
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.side_stream_queues import Inlet, Outlet, Waiting, check_waiting, flatten
from edgebll.kernel.tasks import task_of_record
from edgebll.kernel.wire import END, EVAL, OUTPUT, SNAPSHOT, STREAM_PREFIX, TRAIN, Message, Report, State, Token

if TYPE_CHECKING:
    from edgebll.kernel.execution.block_runtime import BlockRuntime


@dataclass(frozen=True)
class Applied:
    """What came of a token: the next block's (None after the last), the message for the host, and tokens of side streams."""

    onward: Token | None
    message: Message
    beside: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Start:
    """Where an incarnation begins.

    Attributes:
        incarnation: of the run.
        step: training steps done before.
        waiting: tokens on the side streams at that point; None for those before the first step.
    """

    incarnation: int = 0
    step: int = 0
    waiting: Waiting[Array] | None = None


class HostedBlock:
    """A loaded block with its place in the streams.

    Args:
        run: identifier of the run.
        runtime: the block, loaded with its starting state.
        manifest: of the bundle; says which streams come in and go out.
        start: where the streams begin, which the runtime's state must fit.

    Attributes:
        name: the block's name.
        ended: whether END was applied.
    """

    def __init__(self, run: str, runtime: BlockRuntime, manifest: Manifest, start: Start | None = None) -> None:
        start = start or Start()
        self._run, self._incarnation, self._runtime = run, start.incarnation, runtime
        self._spec = runtime.spec
        self.name = self._spec.name
        self.ended = False
        self._next_block = manifest.next_block(self.name)
        self._carried, self._handed_on = _side_inputs(manifest, self.name)
        # Only the last block judges; so a task of a user's own must be on its board alone.
        self._task = task_of_record(manifest.task if self._next_block is None else {}, "the manifest")
        self._incoming = {edge.source: edge for edge in manifest.side_streams(self.name)}
        self._received = {tensor.name: tensor for tensor in self._spec.received}
        outgoing, waiting = manifest.side_streams_from(self.name), start.waiting
        into = None if waiting is None else waiting.get(self.name, {})
        self._inlet: Inlet[Array] = Inlet(self._incoming.values(), self._spec.received, _zeros, start.step, into)
        self._outlet: Outlet[Array] = Outlet(outgoing, self._spec.sent, _zeros, waiting)
        if waiting is not None:
            check_waiting(waiting, (*self._incoming.values(), *outgoing))
            self._check_restored()
        self._inbox: deque[Token] = deque()
        self._next_sequence = 0
        self._end_admitted = False

    @property
    def line_bytes(self) -> tuple[int, int]:
        """See BlockRuntime."""
        return self._runtime.line_bytes

    @property
    def ready(self) -> bool:
        """Whether the next token can be applied."""
        if not self._inbox:
            return False
        return may_be_applied(self._inbox[0], self._inlet)

    def admit(self, token: Token) -> None:
        """Queue a token.

        Raises:
            LinkError: a gap, a duplicate, a token after END, or a side stream this block does not have.
            WireError: a tensor or scalar is missing or of the wrong dtype, shape or value.
        """
        if token.source:
            self._admit_beside(token)
            return
        if token.sequence != self._next_sequence or self._end_admitted:
            expected = "nothing after END" if self._end_admitted else f"token {self._next_sequence}"
            raise LinkError(f"{self.name} expected {expected} and got token {token.sequence}; start the run again")
        if token.kind in (TRAIN, EVAL):
            self._check_batch(token)
        self._next_sequence += 1
        self._end_admitted = token.kind == END
        self._inbox.append(token)

    def _admit_beside(self, token: Token) -> None:
        """Queue a token of a side stream."""
        edge = self._incoming.get(token.source)
        if edge is not None:
            self._check_beside(token, edge)
        try:
            self._inlet.put(token.source, token.step, token.tensors)
        except LinkError as error:
            raise LinkError(f"{self.name}: {error}") from error

    def _check_beside(self, token: Token, edge: EdgeSpec) -> None:
        if token.kind != TRAIN:
            raise WireError(f"{self.name} expected training steps of {edge.source} on a side stream and got {token.kind}")
        if token.tensors.keys() != set(edge.tensors):
            names = (", ".join(sorted(each)) or "none" for each in (edge.tensors, token.tensors))
            raise WireError("{} expected the tensors {} of {} and got {}".format(self.name, next(names), edge.source, *names))
        for name, value in token.tensors.items():
            known = received_name(edge.source, name)
            self._check_tensor(known, value, self._received[known])

    def _check_restored(self) -> None:
        """Check what waits for this block as if it had come by link."""
        for source, tokens in self._inlet.waiting().items():
            for tensors in tokens:
                self._check_beside(
                    Token(self._run, self.name, TRAIN, 0, 0, source=source, tensors=dict(tensors)), self._incoming[source]
                )

    def _check_batch(self, token: Token) -> None:
        tensors = token.tensors
        if tensors.keys() != {"x", "y", *self._carried}:
            names = ", ".join(("x", *self._carried))
            raise WireError(f"{self.name} expected the tensors {names} and y and got {', '.join(sorted(tensors)) or 'none'}")
        for name, spec in self._carried.items():
            self._check_tensor(name, tensors[name], spec)
        self._check_tensor("x", tensors["x"], step_input(self._spec) if token.kind == TRAIN else self._spec.input)
        self._check_tensor("y", tensors["y"], self._spec.labels)
        if token.kind == EVAL:
            if not 0 < token.count <= len(tensors["y"]):
                raise WireError(f"{self.name} expected a count of 1 to {len(tensors['y'])} and got {token.count}")
            return
        for name in self._spec.scalars:
            if not math.isfinite(token.scalars.get(name, math.nan)):
                raise WireError(f"{self.name} expected a finite scalar {name!r} and got {token.scalars.get(name)}")

    def _check_tensor(self, name: str, value: Array, spec: TensorSpec) -> None:
        if value.shape != spec.shape or value.dtype.name != spec.dtype:
            raise WireError(
                f"{self.name} expected {name} as {spec.dtype}{list(spec.shape)} and got "
                f"{value.dtype.name}{list(value.shape)}; check the batch size and that all boards run one bundle"
            )

    def apply_next(self) -> Applied:
        """Apply the next token to the block; only when `ready`."""
        token = self._inbox.popleft()
        if token.kind in (SNAPSHOT, END):
            return self._give_state(token)
        start_ns = time.monotonic_ns()
        values, tensors = dict[str, float](), dict[str, Array]()
        beside: tuple[Token, ...] = ()
        inputs = read_by(self._spec, token.tensors)
        if token.kind == TRAIN:
            received = {**self._inlet.take(), **inputs} or None
            a, values, sent = self._runtime.train(token.tensors["x"], token.tensors["y"], token.scalars, received)
            if self._outlet.edges:
                beside = tuple(self._beside(edge, token, tensors) for edge, tensors in self._outlet.send(sent))
        else:
            a = self._runtime.evaluate(token.tensors["x"], inputs or None)
            if self._next_block is None and token.scalars.get(OUTPUT):
                tensors = {OUTPUT: a[: token.count]}
            elif self._next_block is None:
                values = self._task.sums(a, token.tensors["y"], token.count)
        end_ns = time.monotonic_ns()
        place = (self.name, token.kind, token.sequence, token.step)
        report = Report(self._run, *place, values, start_ns, end_ns, incarnation=self._incarnation, tensors=tensors)
        beyond = {name: token.tensors[name] for name in self._handed_on}
        return Applied(self._onward(token, {"x": a, "y": token.tensors["y"], **beyond}), report, beside)

    def _give_state(self, token: Token) -> Applied:
        self.ended = final = token.kind == END
        tensors = self._runtime.state()
        if not final:
            tensors |= {f"{STREAM_PREFIX}{name}": value for name, value in flatten(self._outlet.waiting()).items()}
        place = (self.name, token.sequence, token.step)
        message = State(self._run, *place, final, incarnation=self._incarnation, tensors=tensors)
        return Applied(self._onward(token, {}), message)

    def _onward(self, token: Token, tensors: dict[str, Array]) -> Token | None:
        if self._next_block is None:
            return None
        return Token(
            self._run,
            self._next_block,
            token.kind,
            token.sequence,
            token.step,
            token.count,
            token.scalars,
            incarnation=self._incarnation,
            tensors=tensors,
        )

    def _beside(self, edge: EdgeSpec, token: Token, tensors: dict[str, Array]) -> Token:
        place = (edge.target, TRAIN, token.sequence, token.step)
        return Token(self._run, *place, source=self.name, incarnation=self._incarnation, tensors=tensors)

    def release(self) -> BlockRuntime:
        """Give the runtime back; this object is of no use any more."""
        return self._runtime

    def close(self) -> None:
        """Free the runtime."""
        self._runtime.close()


def _side_inputs(manifest: Manifest, block: str) -> tuple[dict[str, TensorSpec], tuple[str, ...]]:
    """The side inputs that come to a block, by name, and those that go on from there."""
    index = [spec.name for spec in manifest.blocks].index(block)
    here, beyond = (carried_inputs(manifest.blocks[first:]) for first in (index, index + 1))
    return {tensor.name: tensor for tensor in here}, tuple(tensor.name for tensor in beyond)


def _zeros(tensor: TensorSpec) -> Array:
    value: Array = np.zeros(tensor.shape, tensor.dtype)
    value.flags.writeable = False
    return value
