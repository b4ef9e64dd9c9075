"""`edgebll export` as a function: a training run becomes a bundle."""

from __future__ import annotations

import os
from pathlib import Path

from edgebll.data.example_samples import training_samples
from edgebll.kernel.bundle import Bundle, check_bundle_place, open_bundle
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.support.bounds import Bounds, WrongValue
from edgebll.learning import PRECISIONS
from edgebll.learning.training import load_run
from edgebll_export.bundles.export_bundle import export_run
from edgebll_export.targets import make_target

_BATCH_SIZE = Bounds("", 1)


def export(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    state: str = "trained",
    batch_size: int | None = None,
    target: str = "onnx",
    opset: int | None = None,
    threads: int | None = None,
    precision: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    progress: EventCallback | Listener | None = None,
) -> Bundle:
    """Export every block of a trained network: forward pass, feedback head and training step as ONNX graphs.

    Golden vectors are drawn from the data set of the run if it is here, else from N(0, 1). Networks of your own are exported
    with `export_bundle`.

    Args:
        run: run folder of `train`.
        out: the bundle folder to write; an earlier bundle there is replaced.
        state: weights boards start from, "trained" or "initial".
        batch_size: samples of a training step; by default the run's.
        target: what runs the graphs, "onnx", "tensorrt-8.5", "tensorrt-8.6", "tensorrt-10" or "tensorrt-11".
        opset: of the target "onnx", at least 17; by default 17.
        threads: of a processor that computes a block, for the target "onnx"; by default not known.
        precision: numbers to compute in, "float32", "mixed" or "bfloat16"; by default the run's.
        data_dir: folder with the data set's files.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The bundle, which can be given wherever the path of one is taken.

    Raises:
        ConfigError: an option is wrong.
        BundleError: the run is missing or not whole.
        ExportError: an operator cannot be lowered or run on the target; names it and its place.
        StorageError: the folder cannot be written.
        MissingExtraError: torch or onnx is not installed.

    Examples:
        >>> import edgebll
        >>> bundle = edgebll.export("trained", "bundle")
        >>> [block.name for block in bundle.manifest.blocks]
        ['block0', 'block1']
    """
    if state not in ("trained", "initial"):
        raise WrongValue("state", f"must be trained or initial, not {state!r}")
    if batch_size is not None:
        _BATCH_SIZE.check("batch_size", batch_size)
    chosen, listener, folder = make_target(target, opset, threads), as_listener(progress), Path(out)
    trained = load_run(Path(run))
    if precision is not None and precision not in PRECISIONS:
        raise WrongValue("precision", f"must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    chosen.suited(precision or trained.precision)
    check_bundle_place(folder)
    listener.noted(f"exporting {trained.path}; this takes some seconds a block")
    where = Path(data_dir) if data_dir is not None else None
    examples = training_samples(trained.data, trained.steps[0].spec.input, where, listener.noted, trained.data_options)
    manifest = export_run(
        trained, folder, state=state, batch_size=batch_size, target=chosen, precision=precision, examples=examples
    )
    for block, notes in manifest.recipe.get("notes", {}).items():
        for note in notes:
            listener.noted(f"{block}: {note}")
    return open_bundle(folder, verify=False)
