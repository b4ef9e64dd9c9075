"""What a bundle's task counts on a data set, through its forward graphs alone."""

from __future__ import annotations

import contextlib
from collections import defaultdict

from edgebll.data import Dataset, eval_batches
from edgebll.data.token_stream import fitted
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.runtime_table import Forward, load_block, load_int8_forward
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.state.block_state import Array


def evaluate_bundle(
    bundle: Bundle, dataset: Dataset, runtime: str = "onnxruntime", threads: int = 1, *, int8: bool = False
) -> dict[str, float]:
    """The figures of a bundle's state on a data set, through the forward graphs alone.

    Args:
        bundle: whose state is evaluated.
        dataset: samples and labels.
        runtime: one of RUNTIMES; with `int8` one of INT8_FORWARDS.
        threads: of the runtime.
        int8: take the quantised forward graphs.

    Returns:
        The task's metrics by name and "loss": for classification {"accuracy": fraction of samples, "loss": nats}.

    Raises:
        DataError: the samples do not fit the network. BundleError: `int8`, and the bundle is not quantised.
        WrongValue: `int8`, and the runtime computes none. BoardError: a microcontroller does not answer, or cannot.
    """
    manifest = bundle.manifest
    dataset = fitted(manifest, dataset, str(bundle.path))
    task, totals = dataset.task, defaultdict[str, float](float)
    with contextlib.ExitStack() as stack:
        names = [block.name for block in manifest.blocks]
        load = load_int8_forward if int8 else _load_block
        loaded = [stack.enter_context(contextlib.closing(load(bundle, name, runtime, threads=threads))) for name in names]
        for indices, count in eval_batches(len(dataset), manifest.batch_size):
            x = dataset.inputs(indices)
            a: Array = x
            inputs = dataset.side_inputs(indices)
            for spec, block in zip(manifest.blocks, loaded, strict=True):
                a = block.evaluate(a, read_by(spec, inputs) or None)
            for name, value in task.sums(a, dataset.targets(indices, x), count).items():
                totals[name] += value
    return task.results(totals)


def _load_block(bundle: Bundle, name: str, runtime: str, *, threads: int) -> Forward:
    return load_block(runtime, bundle, name, threads=threads)
