"""The measuring processes of `edgebll.learning.reproduce.cost`: python -m edgebll_export.step_cost CONTENDER FOLDER.

CONTENDER is torch, cuda or onnxruntime, which print their figures as JSON, or export, which writes the bundle that onnxruntime
measures into FOLDER. FOLDER holds what `edgebll.learning.reproduce.measured_model` wrote. The onnxruntime process never imports
torch.
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
from edgebll.kernel.spec.last_batch import step_scalars
from edgebll.kernel.spec.time_chunks import step_input

if TYPE_CHECKING:
    from edgebll.learning import BlockStep

#: The first step is not timed.
_STEPS = 3
_LR = 0.01
_BUNDLE = "bundle"


def main() -> None:
    """Measure, or export, what the command line asks for."""
    contender, folder = sys.argv[1], Path(sys.argv[2])
    if contender == "export":
        _export(folder)
        found: dict[str, Any] = {}
    elif contender == "onnxruntime":
        found = _onnxruntime(folder / _BUNDLE)
    else:
        found = _torch(folder, contender)
    print(json.dumps(found))


def _torch(folder: Path, contender: str) -> dict[str, Any]:
    """Peaks and seconds of the eager steps."""
    import numpy as np
    import torch

    from edgebll.learning.reproduce.measured_model import MeasuredModel
    from edgebll.learning.training.torch_device import TensorPlacement

    torch.set_num_threads(1)
    place = TensorPlacement.on("cuda" if contender == "cuda" else "cpu")
    torch.manual_seed(0)

    def trainable(step: BlockStep) -> Callable[[], None]:
        """The block's step, keeping its state, on samples at the first block and random inputs at the others."""
        state, size = place.put_all(step.initial_state()), step.spec.input.shape[0]
        first = step is steps[0] and step.spec.chunks == 1
        x = place.put(inputs.draw(size, np.random.default_rng(0)) if first else torch.randn(step_input(step.spec).shape))
        targets = step.task.examples(size, steps[-1].spec.output.shape[1:], np.random.default_rng(0))
        y = place.put(torch.from_numpy(targets))
        received = place.put_all({t.name: torch.zeros(t.shape, dtype=getattr(torch, t.dtype)) for t in step.spec.received})
        scalars = place.put_all({name: torch.tensor(value) for name, value in _scalars(step.spec.scalars, size).items()})

        def run() -> None:
            state.update(step(state, x, y, scalars, received).state)
            if contender == "cuda":
                torch.cuda.synchronize()

        return run

    counter = _Cuda() if contender == "cuda" else ResidentPeak()
    model, inputs = MeasuredModel.read(folder).build()
    steps = model.steps
    place.put_constants(steps)
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
    task, blocks = task_of_record(bundle.manifest.task, str(folder)), bundle.manifest.blocks
    samples = bundle.golden(blocks[0].name)["0/x"]
    counter, peaks, seconds = ResidentPeak(), [], []
    for spec in blocks:
        counter.reset()
        x = samples if spec is blocks[0] else random.standard_normal(step_input(spec).shape, np.float32)
        y = task.examples(len(x), blocks[-1].output.shape[1:], random)
        received = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in spec.received}
        given: Any = (x, y, _scalars(spec.scalars, len(x)), *([received] if received else []))
        with load_block("onnxruntime", bundle, spec.name, threads=1) as block:
            seconds.append(_seconds(partial(block.train, *given)))
        peaks.append(counter.peak())
    return {"peak_bytes": peaks, "seconds": seconds}


def _export(folder: Path) -> None:
    import torch

    from edgebll.learning.reproduce.measured_model import MeasuredModel
    from edgebll_export import export_bundle

    torch.set_num_threads(1)
    measured = MeasuredModel.read(folder)
    (model, inputs), config = measured.build(), measured.record.config
    export_bundle(
        model.network,
        rule=model.rule,
        optimizer=model.optimizer,
        batch_size=config.batch_size,
        precision=config.precision,
        path=folder / _BUNDLE,
        examples=inputs.examples,
        last_batch=config.last_batch,
    )


def _scalars(names: tuple[str, ...], size: int) -> dict[str, float]:
    """Those of a step on a full batch."""
    return step_scalars(names, _LR, size)


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
