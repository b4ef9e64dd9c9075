"""`edgebll merge` as a function: a trained network becomes one ONNX model with its weights inside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from edgebll.kernel.errors import ConfigError, ExportError, VerifyError
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.state.numerical_comparison import TOLERANCE, Difference
from edgebll.kernel.support.atomic_files import check_parents, write_atomic
from edgebll.kernel.support.bounds import COUNT, WrongValue, is_whole
from edgebll.kernel.tasks import Task
from edgebll.kernel.version import __version__
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.training.trained_network import TrainedNetwork, open_trained
from edgebll_export.bundles.block_models import check_model
from edgebll_export.bundles.one_at_a_time import one_at_a_time
from edgebll_export.bundles.quantize import quantised
from edgebll_export.merged.check import Samples, difference, graphs_in_turn, modules_in_turn, outputs
from edgebll_export.merged.forward_graphs import TrainedBlock, trained_blocks
from edgebll_export.merged.half_precision import in_float16
from edgebll_export.merged.merged_model import MergedModel
from edgebll_export.merged.samples import calibration_batches, comparison_samples
from edgebll_export.merged.whole_model import output_name, whole_model

#: For any batch size.
DYNAMIC = "dynamic"
FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
#: A model in float16 may differ by so much; int8 is a choice of the user's, who is told by how much it differs.
_HALF_TOLERANCE = 2e-2
#: Samples to compare on at least, and the batches they go in where any size is taken.
_COMPARED, _SIZES = 32, (1, 7, 24)
_CALIBRATED_AT_ONCE = 32
#: Of a batch size.
_MOST_DIGITS = 18
_ON_PROCESSORS = ("float32", "mixed")


@one_at_a_time
def merge(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    batch: int | str | None = None,
    int8: bool = False,
    float16: bool = False,
    data: str | None = None,
    samples: int = 512,
    data_dir: str | os.PathLike[str] | None = None,
    network: BlockNetwork | None = None,
    progress: EventCallback | Listener | None = None,
) -> MergedModel:
    """Write a trained network as one ONNX model with its weights inside, for inference anywhere.

    It has the input "x", and others by name where the network reads more of a sample, one output ("logits" of a task with
    classes, else "output"), operators of the default domain alone and no file beside it. Before it is written it is compared
    with the chain of blocks; where it differs by more than rounding, nothing is written.

    Args:
        run: a run folder of `train`, `simulate` or `run`, or a bundle.
        out: the file to write, NAME.onnx; an earlier one is replaced.
        batch: samples it takes at once, or "dynamic" for any number; by default any, or the bundle's own where the code of the
            network is not known here.
        int8: int8 products, with scales chosen on training samples.
        float16: weights and results in float16; input and output stay float32.
        data: data set to choose int8 scales on; by default the one it was trained on.
        samples: training samples to choose int8 scales on.
        data_dir: folder with the data set's files.
        network: the network that was trained, where its code is in no file.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The file, and how it compares.

    Raises:
        ConfigError: an option is wrong, or what it asks for needs the network's code.
        BundleError: there is neither a run nor a bundle, it is not whole, or damaged.
        DataError: the data set for int8 is not here or does not fit.
        ExportError: a block cannot be turned into a graph, or gives NaN or infinite numbers.
        VerifyError: the model differs from the chain of blocks by more than rounding.
        StorageError: the file cannot be written.
        MissingExtraError: torch or onnx is not installed.

    Examples:
        >>> import edgebll
        >>> model = edgebll.merge("trained", "model.onnx")
        >>> model.network, model.numbers, model.batch, model.output, model.max_rel_error < 1e-4
        ('mlp', 'float32', None, 'logits', True)
    """
    file, listener = Path(out), as_listener(progress)
    wanted = _checked_options(file, batch, int8, float16, samples)
    trained = open_trained(Path(run), network)
    blocks = trained_blocks(trained, trained.network) if trained.network is not None else []
    if not blocks and batch is None and trained.bundle is not None:
        wanted = trained.bundle.manifest.batch_size
        why = f" ({trained.without})" if trained.without else ""
        listener.noted(f"without the code of {trained.name}{why}: the bundle's graphs are joined, for its batch of {wanted}")
    listener.noted(f"merging {trained.path}; this takes some seconds a block")
    model = whole_model(trained, blocks, wanted)
    where = Path(data_dir) if data_dir is not None else None
    given = comparison_samples(trained, max(_COMPARED, wanted or 1), where, listener)
    expected, tolerance = _chain(trained, blocks, given)
    actual, found = _compared(model, given, wanted, expected, tolerance, blocks)
    numbers = FLOAT32 if blocks else trained.precision
    if int8:
        calibration = calibration_batches(trained, data, samples, wanted or _CALIBRATED_AT_ONCE, where)
        model, numbers = quantised(model, calibration), INT8
        actual, found = _compared(model, given, wanted, expected, np.inf, [])
    elif float16:
        model, numbers = in_float16(model), FLOAT16
        check_model(model)
        actual, found = _compared(model, given, wanted, expected, _HALF_TOLERANCE, [])
    content = _described(model, trained, numbers, wanted).SerializeToString(deterministic=True)
    write_atomic(file, content)
    return MergedModel(
        path=file,
        network=trained.name,
        numbers=numbers,
        batch=wanted,
        output=output_name(trained),
        size_bytes=len(content),
        samples=len(given["x"]),
        max_rel_error=found.max_rel_error,
        same_class=_same_class(actual, expected, trained.task),
        state_sha256=trained.state_sha256,
    )


def _checked_options(file: Path, batch: int | str | None, int8: bool, float16: bool, samples: int) -> int | None:
    """The batch size, None for any."""
    if file.suffix != ".onnx":
        raise WrongValue("out", f"must name a file that ends in .onnx, not {file.name!r}")
    if int8 and float16:
        raise ConfigError("a model is int8 or float16, not both; leave one out")
    COUNT.check("samples", samples)
    check_parents(file)
    if batch is None or batch == DYNAMIC:
        return None
    if not (is_whole(batch) or (isinstance(batch, str) and batch.isdecimal() and len(batch) <= _MOST_DIGITS)):
        raise WrongValue("batch", f"must be a whole number of samples or {DYNAMIC}, not {batch!r}")
    COUNT.check("batch", int(batch))
    return int(batch)


def _chain(trained: TrainedNetwork, blocks: list[TrainedBlock], given: Samples) -> tuple[Array, float]:
    """What the chain of blocks gives, and how far from it a model may be: a bundle's graphs, as boards have them, else modules.

    Raises:
        ExportError: it is not finite, or nothing here computes in the bundle's numbers.
    """
    if trained.bundle is not None and trained.precision in _ON_PROCESSORS:
        expected, tolerance = graphs_in_turn(trained.bundle, given), TOLERANCE[trained.precision]
    elif blocks:
        expected, tolerance = modules_in_turn(blocks, given), TOLERANCE[FLOAT32]
    else:
        raise ExportError(
            f"{trained.path} computes in {trained.precision}, which ONNX Runtime does not have on processors, and the code of "
            "its network is not known here; give it from Python: edgebll.merge(..., network=...)"
        )
    if not np.isfinite(expected).all():
        raise ExportError(
            f"the blocks of {trained.path} give NaN or infinite numbers, with which nothing can be compared; train again"
        )
    return expected, tolerance


def _compared(
    model: onnx.ModelProto,
    given: Samples,
    batch: int | None,
    expected: Array,
    tolerance: float,
    blocks: list[TrainedBlock],
) -> tuple[Array, Difference]:
    """What a model gives, and its difference from the chain, which rounding explains.

    Raises:
        VerifyError: it does not.
    """
    actual = outputs(model, given, _SIZES if batch is None else (batch,))
    found = difference(actual, expected, tolerance, blocks, given)
    if found.failed:
        raise VerifyError(
            f"the merged model of {model.graph.name} differs from the chain of blocks by {found.max_rel_error:.2g} of the "
            f"largest result, more than {tolerance:g}, and was not written; its results may depend on what else is in a batch"
        )
    return actual, found


def _same_class(actual: Array, expected: Array, task: Task | None) -> float | None:
    if task is None or not task.classes:
        return None
    axis = 1 if task.per_pixel else -1
    return float((actual.argmax(axis) == expected.argmax(axis)).mean())


def _told(trained: TrainedNetwork) -> dict[str, object]:
    """Name and options of the task."""
    if trained.task is not None:
        return {"name": trained.task.name, "options": trained.task.options()}
    record = trained.bundle.manifest.task if trained.bundle is not None else {}
    return {"name": record.get("name"), "options": record.get("options", {})}


def _described(model: onnx.ModelProto, trained: TrainedNetwork, numbers: str, batch: int | None) -> onnx.ModelProto:
    """The model with what it is in its metadata."""
    entries = {
        "network": json.dumps(trained.description),
        "rule": trained.rule,
        "classes": str(trained.num_classes),
        "data": trained.data or "",
        "data_options": json.dumps(trained.data_options),
        "task": json.dumps(_told(trained)),
        "state_sha256": trained.state_sha256,
        "numbers": numbers,
        "batch": DYNAMIC if batch is None else str(batch),
        "version": __version__,
    }
    del model.metadata_props[:]
    helper.set_model_props(model, {f"edgebll.{name}": text for name, text in entries.items()})
    model.producer_name, model.producer_version = "edgebll", __version__
    return model
