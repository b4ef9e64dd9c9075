"""The forward pass of a finished training run, for those who know neither torch nor steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from edgebll.data.texts.byte_network import ByteNetwork, Compute
from edgebll.learning.training.torch_device import CPU, TensorPlacement, torch_settings
from edgebll.learning.training.trained_run import load_run


@contextlib.contextmanager
def opened_forward(path: Path, threads: int) -> Iterator[tuple[Compute, ByteNetwork]]:
    """What computes the network of a run on the processor, and its shapes.

    Args:
        path: the run folder.
        threads: of PyTorch meanwhile.

    Raises:
        BundleError: the run is missing, not whole or damaged. ConfigError: its network foretells no bytes.
    """
    with torch_settings(torch.device(CPU), threads, exact=True), torch.no_grad():
        run = load_run(path)
        x, output = run.steps[0].spec.input, run.steps[-1].spec.output
        network = ByteNetwork.of(str(path), x.dtype, x.shape[1:], output.shape[1:], 0)
        place = TensorPlacement.on(CPU, run.config.channels_last)
        states = {name: place.put_all(state) for name, state in run.states().items()}
        place.put_constants(run.steps)

        def compute(values: Any) -> Any:
            a = torch.from_numpy(values)
            for step in run.steps:
                a = step.forward(states[step.name], a, {})
            return a.numpy()

        yield compute, network
