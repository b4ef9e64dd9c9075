"""Networks that foretell bytes, computed by this process: a run of the trainer, a bundle's graphs, or one merged model."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgebll.data.texts.byte_network import ByteNetwork, Compute
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.runs.trained_place import find_trained
from edgebll.kernel.support.optional_imports import import_extra, import_torch

#: What computes a run of the trainer: "module:function" of (path, threads), a context of a function and its shapes.
TRAINED_RUN = "edgebll.learning.training.trained_forward:opened_forward"
_ONNX = ".onnx"
_TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(uint8)": "uint8"}

Opened = contextlib.AbstractContextManager[tuple[Compute, ByteNetwork]]


def open_network(path: Path, runtime: str, threads: int) -> Opened:
    """The network at a path.

    Args:
        path: a run, a bundle, or a model of `edgebll merge`.
        runtime: what computes a bundle.
        threads: of the computation.

    Raises:
        BundleError: there is none of these, or it is damaged. ConfigError: it foretells no bytes.
        MissingExtraError: what computes it is not installed.
    """
    if path.suffix == _ONNX:
        return _model(path, threads)
    place = find_trained(path)
    if place.bundle is not None:
        return _bundle(open_bundle(place.bundle), runtime, threads)
    import_torch("train", "sampling from a training run")
    module, _, name = TRAINED_RUN.partition(":")
    opened: Callable[[Path, int], Opened] = getattr(importlib.import_module(module), name)
    return opened(path, threads)


def network_of(bundle: Bundle) -> ByteNetwork:
    """Shapes of a bundle's network.

    Raises:
        ConfigError: it foretells no bytes.
    """
    manifest = bundle.manifest
    x, output = manifest.blocks[0].input, manifest.blocks[-1].output
    return ByteNetwork.of(str(bundle.path), x.dtype, x.shape[1:], output.shape[1:], manifest.batch_size)


@contextlib.contextmanager
def _bundle(bundle: Bundle, runtime: str, threads: int) -> Iterator[tuple[Compute, ByteNetwork]]:
    network = network_of(bundle)
    with contextlib.ExitStack() as stack:
        names = [block.name for block in bundle.manifest.blocks]
        blocks = [stack.enter_context(load_block(runtime, bundle, name, threads=threads)) for name in names]

        def compute(x: Any) -> Any:
            for block in blocks:
                x = block.evaluate(x)
            return x

        yield compute, network


@contextlib.contextmanager
def _model(path: Path, threads: int) -> Iterator[tuple[Compute, ByteNetwork]]:
    ort = import_extra("onnxruntime", "board", "a merged model")
    if not path.is_file():
        raise BundleError(f"there is no model at {path}; give one that `edgebll merge` wrote")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has errors of its own for each thing that can be wrong
        raise BundleError(f"{path} is no model that ONNX Runtime takes ({str(error).splitlines()[0][:120]})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConfigError(f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; give a model of `edgebll merge`")
    (x,), (output,) = inputs, outputs
    batch = x.shape[0] if isinstance(x.shape[0], int) else 0
    shapes = [tuple(size if isinstance(size, int) else 0 for size in one.shape[1:]) for one in (x, output)]
    network = ByteNetwork.of(str(path), _TYPES.get(x.type, x.type), shapes[0], shapes[1], batch)
    yield lambda values: session.run(None, {x.name: values})[0], network
