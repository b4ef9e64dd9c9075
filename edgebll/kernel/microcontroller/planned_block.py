"""What runtimes have in common that compute a block by its plans: which tensors go into which plan, and what comes out."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import numpy as np

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.execution.block_runtime import BlockRuntime, Tensor, Trained
from edgebll.kernel.spec.time_chunks import step_input


class PlannedBlock(BlockRuntime):
    """A block of which each call is one run of one of its plans."""

    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        """See BlockRuntime."""
        self._check("x", x, step_input(self.spec))
        self._check("y", y, self.spec.labels)
        values = {name: np.array(self._scalar(name, scalars), np.float32) for name in self.spec.scalars}
        results = self._run("step", {"x": x, "y": y, **values, **self._received(received)})
        sent = {tensor.name: results[tensor.name] for tensor in self.spec.sent}
        numbers = results["metrics"].tolist() if self.spec.metrics else ()
        return results["a"], dict(zip(self.spec.metrics, numbers, strict=True)), sent

    def evaluate(self, x: Tensor, inputs: Mapping[str, Tensor] | None = None) -> Tensor:
        """See BlockRuntime."""
        self._check("x", x, self.spec.input)
        return self._run("forward", {"x": x, **self._inputs(inputs)})["a"]

    def feedback(self, y: Tensor) -> Tensor:
        """See BlockRuntime."""
        if self.spec.beta is None:
            raise ConfigError(f"{self.spec.name} has no feedback head; the rule of this bundle does not use one")
        self._check("y", y, self.spec.labels)
        return self._run("feedback", {"y": y})["beta"]

    @abc.abstractmethod
    def _run(self, graph: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the plan of a graph.

        Args:
            graph: "step", "forward" or "feedback".
            values: by the name of the input, as the block's specification has them.

        Returns:
            Every output by its name.
        """
