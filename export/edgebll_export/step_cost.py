"""The measuring processes of `edgebll.learning.reproduce.cost`: python -m edgebll_export.step_cost CONTENDER CONFIG BUNDLE.

CONTENDER is torch, cuda or onnxruntime, which print their figures as JSON, or export, which writes the bundle. CONFIG is a
TrainConfig as JSON. The onnxruntime process never imports torch.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebll.kernel.limits.resident_peak import ResidentPeak

if TYPE_CHECKING:
    from edgebll.learning import BlockStep, Optimizer, Rule
    from edgebll.learning.networks import BlockNetwork

#: The first step is not timed.
_STEPS = 3
_LR = 0.01


def main() -> None:
    """Measure, or export, what the command line asks for."""
    contender, config, bundle = sys.argv[1:]
    if contender == "export":
        _export(json.loads(config), Path(bundle))
        found: dict[str, Any] = {}
    elif contender == "onnxruntime":
        found = _onnxruntime(Path(bundle))
    else:
        found = _torch(json.loads(config), contender)
    print(json.dumps(found))


def _torch(config: dict[str, Any], contender: str) -> dict[str, Any]:
    """Peaks and seconds of the eager steps."""
    import numpy as np
    import torch

    from edgebll.learning import make_steps

    torch.set_num_threads(1)
    device = torch.device("cuda" if contender == "cuda" else "cpu")
    torch.manual_seed(0)

    def trainable(step: BlockStep) -> Callable[[], None]:
        """The block's step, keeping its state, on random inputs."""
        state = {name: value.to(device) for name, value in step.initial_state().items()}
        x = torch.randn(step.spec.input.shape, device=device)
        targets = step.task.examples(len(x), steps[-1].spec.output.shape[1:], np.random.default_rng(0))
        y = torch.from_numpy(targets).to(device)
        received = {tensor.name: torch.zeros(tensor.shape, device=device) for tensor in step.spec.received}
        scalars = {"lr": torch.tensor(_LR, device=device)}

        def run() -> None:
            state.update(step(state, x, y, scalars, received).state)
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    counter = _Cuda() if contender == "cuda" else ResidentPeak()
    network, rule, optimizer = _model(config)
    steps = make_steps(network, rule, optimizer, config["batch_size"], config["precision"])
    peaks, seconds = [], []
    for step in steps:
        counter.reset()
        run = trainable(step)
        seconds.append(_seconds(run))
        peaks.append(counter.peak())
        del run
    return {"peak_bytes": peaks, "seconds": seconds, "cuda": torch.cuda.is_available()}


def _onnxruntime(folder: Path) -> dict[str, Any]:
    """Peaks and seconds of the exported steps."""
    import numpy as np

    from edgebll.kernel.bundle import open_bundle
    from edgebll.kernel.execution.runtime_table import load_block
    from edgebll.kernel.tasks import task_of_record

    random = np.random.default_rng(0)
    bundle = open_bundle(folder)
    task = task_of_record(bundle.manifest.task, str(folder))
    counter, peaks, seconds = ResidentPeak(), [], []
    for spec in bundle.manifest.blocks:
        counter.reset()
        x = random.standard_normal(spec.input.shape, np.float32)
        y = task.examples(len(x), bundle.manifest.blocks[-1].output.shape[1:], random)
        received = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in spec.received}
        given: Any = (x, y, {"lr": _LR}, *([received] if received else []))
        with load_block("onnxruntime", bundle, spec.name, threads=1) as block:
            seconds.append(_seconds(partial(block.train, *given)))
        peaks.append(counter.peak())
    return {"peak_bytes": peaks, "seconds": seconds}


def _export(config: dict[str, Any], bundle: Path) -> None:
    import torch

    from edgebll_export import export_bundle

    torch.set_num_threads(1)
    network, rule, optimizer = _model(config)
    batch_size, precision = config["batch_size"], config["precision"]
    export_bundle(network, rule=rule, optimizer=optimizer, batch_size=batch_size, precision=precision, path=bundle)


def _model(config: dict[str, Any]) -> tuple[BlockNetwork, Rule, Optimizer]:
    """Network, rule and optimiser of a TrainConfig, for the samples that the network is known from."""
    from edgebll.learning import make_rule
    from edgebll.learning.networks import make_architecture, make_network
    from edgebll.learning.training import TrainConfig

    told = TrainConfig(**config)
    shape, classes = make_architecture(told.network, told.network_options).example
    network = make_network(
        told.network,
        num_blocks=told.blocks,
        split=told.split,
        options=told.network_options,
        num_classes=classes,
        input_shape=shape,
        seed=told.seed,
    )
    return network, make_rule(told.rule, **told.rule_options), told.make_optimizer()


def _seconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(1 + _STEPS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


class _Cuda:
    """The peak of PyTorch's allocator on the GPU."""

    def reset(self) -> None:
        """Count from here."""
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        """Bytes allocated at most since `reset`."""
        import torch

        return torch.cuda.max_memory_allocated()


if __name__ == "__main__":
    main()
