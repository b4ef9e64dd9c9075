"""Comparing a merged model with the chain of blocks it was made of, on ONNX Runtime, before it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ExportError
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import Difference, Reach, compare_all
from edgebll_export.bundles.rounding_bounds import growing_reaches
from edgebll_export.merged.forward_graphs import TrainedBlock
from edgebll_export.merged.join import INPUT

#: Input -> samples (N, ...) of it.
Samples = Mapping[str, Array]


def session_of(content: bytes, name: str) -> onnxruntime.InferenceSession:
    """A model in ONNX Runtime, on one thread and silent.

    Raises:
        ExportError: ONNX Runtime refuses it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors come back as exceptions too
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise ExportError(f"ONNX Runtime refuses {name}: {str(error).splitlines()[0]}") from error


def outputs(model: onnx.ModelProto, samples: Samples, sizes: Sequence[int]) -> Array:
    """What a model gives for samples.

    Args:
        model: x, and side inputs -> one output.
        samples: of each input (N, ...) as it takes them.
        sizes: of the batches they go in, in turn; the last batch is filled up with samples from the start.

    Raises:
        ExportError: ONNX Runtime refuses the model, or fails.
    """
    session = session_of(model.SerializeToString(), model.graph.name)
    return _in_batches(lambda given: session.run(None, given)[0], samples, sizes, model.graph.name)


def _in_batches(function: Callable[[dict[str, Array]], Any], samples: Samples, sizes: Sequence[int], name: str) -> Array:
    found, start, turn, total = [], 0, 0, len(samples[INPUT])
    while start < total:
        size = sizes[turn % len(sizes)]
        rows = (np.arange(size) + start) % total
        count = min(size, total - start)
        try:
            found.append(np.asarray(function({name: value[rows] for name, value in samples.items()}))[:count])
        except Exception as error:  # as above
            raise ExportError(f"{name} fails with a batch of {size}: {str(error).splitlines()[0]}") from error
        start, turn = start + size, turn + 1
    return np.concatenate(found)


def graphs_in_turn(bundle: Bundle, samples: Samples) -> Array:
    """What the forward graphs of a bundle give one after another, each with its state, as boards evaluate it."""
    a = samples[INPUT]
    for spec in bundle.manifest.blocks:
        session = session_of(bundle.graph(spec.name, "forward"), f"{spec.name}/forward.onnx")
        state = bundle.state(spec.name)
        weights = {name: state[name] for name in spec.forward_state}

        def evaluate(given: dict[str, Array], session: Any = session, weights: Mapping[str, Array] = weights) -> Any:
            return session.run(["a"], {**weights, **given})[0]

        given = {INPUT: a, **read_by(spec, samples)}
        a = _in_batches(evaluate, given, [bundle.manifest.batch_size], f"{spec.name}/forward.onnx")
    return a


def modules_in_turn(blocks: Sequence[TrainedBlock], samples: Samples) -> Array:
    """What the blocks' own modules give one after another, in PyTorch and float32."""
    inputs = {name: torch.from_numpy(value) for name, value in samples.items()}
    a = inputs[INPUT]
    for block in blocks:
        a = block(block.weights, a, inputs)
    return a.numpy()


def difference(
    actual: Array, expected: Array, tolerance: float, blocks: Sequence[TrainedBlock], samples: Samples
) -> Difference:
    """How far a merged model is from the chain; what rounding may do is only asked where that is more than the tolerance.

    Args:
        actual: of the model.
        expected: of the chain.
        tolerance: largest relative error.
        blocks: the modules, which tell what rounding does; none where their code is not here.
        samples: what both were computed from.
    """
    reaches = _reaches(blocks, samples) if blocks else ()
    return compare_all({"a": actual}, {"a": expected}, tolerance, {}, reaches)["a"]


def _reaches(blocks: Sequence[TrainedBlock], samples: Samples) -> Iterator[dict[str, Reach]]:
    """From what the modules themselves give: what else the chain may differ by is not rounding."""

    def chain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        a = tensors["x"]
        for index, block in enumerate(blocks):
            a = block({name: tensors[f"{index}/{name}"] for name in block.weights}, a, tensors)
        return {"a": a}

    weights = {f"{i}/{name}": value for i, block in enumerate(blocks) for name, value in block.weights.items()}
    inputs = {name: torch.from_numpy(value) for name, value in samples.items()}
    yield from growing_reaches(chain, {**weights, **inputs}, {"a": modules_in_turn(blocks, samples)})
