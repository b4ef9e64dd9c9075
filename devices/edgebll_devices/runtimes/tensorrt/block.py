"""A block whose state lives on the GPU in two sets of buffers that swap roles every step: A -> B, then B -> A.

For each side every graph has an execution context with fixed addresses, so its work, copies of inputs and outputs included, is
one CUDA graph. All contexts share one piece of scratch memory, since only one of them runs at a time. State crosses to the host
in `state` and `load_state` alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgebll.kernel.bundle import check_state
from edgebll.kernel.bundle.graph_signature import Signature, Tensors, check_signature, signature
from edgebll.kernel.errors import BoardError, BundleError, ConfigError
from edgebll.kernel.execution.block_runtime import BlockRuntime, Tensor, Trained
from edgebll.kernel.spec.manifest import NEXT, BlockSpec, TensorSpec
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll.kernel.spec.time_chunks import step_input, step_output
from edgebll.kernel.state.block_state import Array, State
from edgebll_devices.runtimes.tensorrt.buffers import DeviceTensors, MirroredTensors
from edgebll_devices.runtimes.tensorrt.cuda import Cuda
from edgebll_devices.runtimes.tensorrt.cuda_graph import Replay
from edgebll_devices.runtimes.tensorrt.engine import CompiledGraph


@dataclass(frozen=True)
class _Side:
    """One set of state buffers and the work that reads it; `step` writes the other side's set. `addresses`: of all tensors."""

    state: DeviceTensors
    addresses: Mapping[str, int]
    step: Replay
    forward: Replay
    feedback: Replay | None


class TensorRTBlock(BlockRuntime):
    """A block on a GPU; build it with `load_block`.

    Args:
        spec: the block.
        state: what it starts from.
        engines: by graph name.
        cuda: the GPU; the block owns it from here on, and closes it if this fails.

    Raises:
        BundleError: an engine's inputs and outputs are not the block's. BoardError: the GPU failed or has too little memory.
    """

    def __init__(self, spec: BlockSpec, state: State, engines: Mapping[str, CompiledGraph], cuda: Cuda) -> None:
        self.spec = spec
        # What a step takes and gives in chunks of time has another shape than in the forward pass, and so a place of its own.
        pairs = ((step_input(spec), spec.input), (step_output(spec), spec.output))
        self._of_step = {whole.name: f"{whole.name} of a step" for part, whole in pairs if part != whole}
        self._x, self._a = (self._of_step.get(name, name) for name in ("x", "a"))
        self._cuda, self._engines = cuda, dict(engines)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(cuda.close)
            stored = self._stored()
            self._scratch = cuda.device_buffer(max(engine.scratch_bytes for engine in engines.values()))
            labels, metrics = ("y",) if spec.takes_labels else (), ("metrics",) if spec.metrics else ()
            read = tuple(tensor.name for tensor in side_inputs(spec))
            others = (tensor.name for tensor in spec.received if tensor.name not in read)
            self._forward_in = ("x", *read)
            self._step_in = (self._x, *read, *labels, *spec.scalars, *others)
            self._step_out = (self._a, *metrics, *(tensor.name for tensor in spec.sent))
            # In this order what a graph takes, or gives, lies in one piece.
            self._in = MirroredTensors(cuda, (stored[name] for name in dict.fromkeys((*self._forward_in, *self._step_in))))
            given = dict.fromkeys((*self._step_out, "a", "beta"))
            self._out = MirroredTensors(cuda, (stored[name] for name in given if name in stored))
            first, second = (DeviceTensors(cuda, (stored[t.name] for t in spec.state)) for _ in range(2))
            self._now, self._then = self._side(first, second, "even"), self._side(second, first, "odd")
            self.load_state(state)
            on_failure.pop_all()

    def _stored(self) -> dict[str, TensorSpec]:
        """Every tensor as the engines keep it; TensorRT before 10 keeps int64 as int32."""
        found: dict[str, TensorSpec] = {}
        updated = {tensor.name + NEXT: tensor.name for tensor in self.spec.state}
        for graph in self.spec.graphs:
            engine, where = self._engines[graph].signature, f"{self.spec.name}/{graph}.onnx"
            expected = signature(self.spec, graph)
            inputs, outputs = _widened(expected.inputs, engine.inputs), _widened(expected.outputs, engine.outputs)
            check_signature(where, expected, Signature(inputs, outputs))
            for tensor in (*engine.inputs, *engine.outputs):
                kept = self._of_step.get(tensor.name, tensor.name) if graph == "step" else tensor.name
                plain = replace(tensor, name=updated.get(tensor.name, kept))
                if found.setdefault(plain.name, plain) != plain:
                    raise BundleError(
                        f"{where}: {tensor.name!r} is {tensor.dtype} here and another type elsewhere; export again"
                    )
        return found

    def _side(self, here: DeviceTensors, there: DeviceTensors, parity: str) -> _Side:
        updated = {name + NEXT: address for name, address in there.addresses.items()}
        addresses = {**here.addresses, **updated, **self._in.addresses, **self._out.addresses}
        return _Side(
            here,
            addresses,
            self._replay("step", addresses, self._step_in, self._step_out, parity),
            self._replay("forward", addresses, self._forward_in, ("a",), parity),
            self._replay("feedback", addresses, ("y",), ("beta",), parity) if "feedback" in self.spec.graphs else None,
        )

    def _replay(
        self, graph: str, addresses: Mapping[str, int], inputs: tuple[str, ...], outputs: tuple[str, ...], parity: str
    ) -> Replay:
        stream = self._cuda.stream
        if graph == "step":
            addresses = {**addresses, **{name: addresses[own] for name, own in self._of_step.items()}}
        execution = self._engines[graph].bind(addresses, self._scratch.address, stream.handle)

        def enqueue() -> None:
            if inputs:
                self._in.send(inputs)
            execution.enqueue(stream.handle)
            if outputs:
                self._out.fetch(outputs)

        what = f"{self.spec.name}/{graph}.onnx ({parity} steps)"
        return Replay(self._cuda, enqueue, what, capturable=execution.capturable)

    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        """See BlockRuntime."""
        self._check("x", x, step_input(self.spec))
        self._check("y", y, self.spec.labels)
        for name in self.spec.scalars:
            self._in.host[name][...] = self._scalar(name, scalars)
        for name, value in self._received(received).items():
            self._in.host[name][...] = value
        self._in.host[self._x][...] = x
        if self.spec.takes_labels:
            self._in.host["y"][...] = y
        self._run(self._now.step, "a training step")
        self._now, self._then = self._then, self._now
        sent = {tensor.name: self._result(tensor.name, tensor.dtype) for tensor in self.spec.sent}
        numbers = self._out.host["metrics"].tolist() if self.spec.metrics else ()
        return self._result(self._a), dict(zip(self.spec.metrics, numbers, strict=True)), sent

    def resident_step(self) -> tuple[Callable[[], None], Callable[[], None]]:
        """Training steps without the host, for measuring the GPU alone.

        Returns:
            A function that enqueues one more step on the inputs `train` was given last, whose output stays on the GPU, and one
            that waits for all of them. Both raise BoardError.
        """
        works = {id(side): self._replay("step", side.addresses, (), (), "resident") for side in (self._now, self._then)}

        def step() -> None:
            works[id(self._now)].start()
            self._now, self._then = self._then, self._now

        return step, self._cuda.stream.wait

    def evaluate(self, x: Tensor, inputs: Mapping[str, Tensor] | None = None) -> Tensor:
        """See BlockRuntime."""
        self._check("x", x, self.spec.input)
        self._in.host["x"][...] = x
        for name, value in self._inputs(inputs).items():
            self._in.host[name][...] = value
        self._run(self._now.forward, "an evaluation")
        return self._result("a")

    def feedback(self, y: Tensor) -> Tensor:
        """See BlockRuntime."""
        if self._now.feedback is None:
            raise ConfigError(f"{self.spec.name} has no feedback head; the rule of this bundle does not use one")
        self._check("y", y, self.spec.labels)
        self._in.host["y"][...] = y
        self._run(self._now.feedback, "the feedback head")
        return self._result("beta")

    def _run(self, work: Replay, what: str) -> None:
        try:
            work.run()
        except BoardError as error:
            raise BoardError(f"{self.spec.name}: {what} failed: {error}") from error

    def _result(self, name: str, dtype: str | None = None) -> Tensor:
        here = self._out.host[name]
        result = here.astype(dtype or here.dtype)  # copies always, and widens what the GPU keeps as int32
        result.flags.writeable = False
        return result

    def state(self) -> dict[str, Array]:
        """See BlockRuntime."""
        device = self._now.state
        with self._cuda.staging(device.layout.size_bytes) as pinned:
            device.download(pinned)
            self._cuda.stream.wait()
            # astype copies always, and widens what the GPU keeps as int32.
            return {t.name: device.layout.view(pinned.bytes, t.name).astype(t.dtype) for t in self.spec.state}

    def load_state(self, state: State) -> None:
        """See BlockRuntime."""
        check_state(self.spec, state, self.spec.name)
        device = self._now.state
        with self._cuda.staging(device.layout.size_bytes) as pinned:
            pinned.bytes[...] = 0
            for name, value in state.items():
                target = device.layout.view(pinned.bytes, name)
                _check_range(self.spec.name, name, value, target.dtype)
                target[...] = value
            device.upload(pinned)
            self._cuda.stream.wait()

    def close(self) -> None:
        """See BlockRuntime."""
        for name in ("_now", "_then"):
            self.__dict__.pop(name, None)
        self._cuda.close()  # before the engines: graphs refer to them
        self._engines.clear()


def _widened(expected: Tensors, found: Tensors) -> Tensors:
    """`found` with int32 read as int64 where that is expected."""
    wide = {tensor.name for tensor in expected if tensor.dtype == "int64"}
    return tuple(replace(t, dtype="int64") if t.name in wide and t.dtype == "int32" else t for t in found)


def _check_range(block: str, name: str, value: Array, dtype: np.dtype[np.generic]) -> None:
    """Refuse numbers that the GPU's narrower type cannot hold."""
    if dtype == np.int32 and value.dtype == np.int64 and value.size and (value != value.astype(np.int32)).any():
        raise BundleError(
            f"{block}: {name!r} holds a number beyond 32 bits, which TensorRT before 10 cannot; use another runtime"
        )
