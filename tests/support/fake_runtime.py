"""A runtime in plain numpy that does what tiny_bundle.py's graphs say, with knobs for things that go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.spec.manifest import BlockSpec

Array = np.ndarray[Any, Any]


class FakeRuntime(BlockRuntime):
    """One tiny block. `before` is called at the start of every training step."""

    def __init__(self, spec: BlockSpec, state: Mapping[str, Array], before: Callable[[], None] | None = None) -> None:
        self.spec = spec
        self.closed = False
        self._before = before
        self._state = {name: value.copy() for name, value in state.items()}

    def train(
        self, x: Array, y: Array, scalars: Mapping[str, float], received: Mapping[str, Array] | None = None
    ) -> tuple[Array, dict[str, float], dict[str, Array]]:
        if self._before is not None:
            self._before()
        a = self.evaluate(x)
        error = a - y if self.spec.output_role == "logits" else a
        gradient = x.T @ error * np.float32(1 / len(x))
        self._state["w"] = self._state["w"] - np.float32(scalars["lr"]) * gradient
        self._state["steps"] = np.asarray(self._state["steps"] + 1)
        return a, {"loss": float(np.mean(error * error))}, {}

    def evaluate(self, x: Array, inputs: Mapping[str, Array] | None = None) -> Array:
        z: Array = x @ self._state["w"]
        return z if self.spec.output_role == "logits" else np.maximum(z, 0)

    def feedback(self, y: Array) -> Array:
        raise NotImplementedError

    def state(self) -> dict[str, Array]:
        return {name: value.copy() for name, value in self._state.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self._state = {name: value.copy() for name, value in state.items()}

    def close(self) -> None:
        self.closed = True


class FakeLoader:
    """Stands for edgebll_devices.runtimes while installed; `before` goes to every runtime it loads, `build` is long work."""

    def __init__(self) -> None:
        self.loaded: list[FakeRuntime] = []
        self.before: Callable[[], None] | None = None
        self.build: Callable[[LoadContext], None] | None = None
        self.error: Exception | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import edgebll_devices.runtimes as runtimes

        monkeypatch.setattr(runtimes, "load_block", self.load, raising=False)
        monkeypatch.setattr(runtimes, "available_runtimes", lambda: ("fake",), raising=False)

    def load(
        self, runtime: str, bundle: Bundle, block: str, *, threads: int = 1, load_context: LoadContext | None = None
    ) -> FakeRuntime:
        if self.error is not None:
            raise self.error
        if self.build is not None:
            self.build(load_context or LoadContext())
        for graph in bundle.manifest.block(block).graphs:
            bundle.graph(block, graph)
        loaded = FakeRuntime(bundle.manifest.block(block), bundle.state(block), self.before)
        self.loaded.append(loaded)
        return loaded


class Gate:
    """A `before` that holds a step until it is opened."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        if not self._open.wait(20.0):
            raise AssertionError("the gate was never opened")

    def open(self) -> None:
        self._open.set()
