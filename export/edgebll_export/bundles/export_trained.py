"""`edgebll export` as a function: a training run becomes a bundle."""

from __future__ import annotations

import os
from pathlib import Path

from edgebll.data.example_samples import training_samples
from edgebll.kernel.bundle import Bundle, check_bundle_place, open_bundle
from edgebll.kernel.microcontroller.block_memory import MicrocontrollerLimits
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.spec.short_state import SHORT_BITS
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.support.bounds import COUNT, WrongValue
from edgebll.learning import PRECISIONS, fine_tuned, make_steps
from edgebll.learning.finetuning.savings import savings
from edgebll.learning.finetuning.tuning_options import PatternNumbers, Patterns, tuning_of
from edgebll.learning.training import load_run
from edgebll_export.bundles.export_bundle import export_run
from edgebll_export.targets import make_target
from edgebll_export.targets.microcontroller import MICROCONTROLLER


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
    ram: str | int | None = None,
    flash: str | int | None = None,
    recompute: str | None = None,
    state_bits: int | None = None,
    freeze: Patterns = None,
    trainable: str = "all",
    lr_for: PatternNumbers = None,
    decay_for: PatternNumbers = None,
    adapter: str = "none",
    rank: int = 4,
    alpha: float | None = None,
    adapt: Patterns = None,
    merge: bool = False,
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
        target: what runs the graphs, "onnx", "tensorrt-8.5", "tensorrt-8.6", "tensorrt-10", "tensorrt-11" or "microcontroller".
        opset: of the target "onnx", at least 17; by default 17.
        threads: of a processor that computes a block, for the target "onnx"; by default not known.
        precision: numbers to compute in, "float32", "mixed", "bfloat16" or "int8"; by default the run's.
        ram: memory for data that each block must fit into, for the target "microcontroller", e.g. "128k"; by default any.
        flash: the same of memory for the program, which plans and the initial state of a block may be kept in.
        recompute: for that target, which activations a board computes again in the place of keeping them: "auto" for as few as
            fit into `ram`, "none", or "all" that make its memory smaller; by default "auto", which is all without `ram`.
        state_bits: bits to which steps round weights and moments, with a unit a row: 16 or 8, which a microcontroller keeps as
            integers, or 32 for float32; by default as the run trained.
        freeze: patterns of what boards do not train, e.g. ["block0.*"], see `edgebll.kernel.spec.fine_tuning.FineTuning`; by
            default, without all of the next, boards train what the run trained, and as it did.
        trainable: what boards train of the rest, "all", or "head" for the last layer with parameters.
        lr_for: pattern -> factor of the learning rate of what it means, e.g. {"block0.*": 0.1}.
        decay_for: pattern -> weight decay of what it means, e.g. {"*.bias": 0}.
        adapter: "none", or "lora" for low-rank corrections of frozen layers, see `edgebll.learning.adapters.low_rank`.
        rank: of the corrections.
        alpha: they are multiplied by alpha / rank; by default the rank.
        adapt: patterns of the layers with an adapter; by default all linear layers and convolutions.
        merge: add the run's adapters to its weights, and let boards train the plain network, or as the options above say.
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
    given = dict(locals())
    if state not in ("trained", "initial"):
        raise WrongValue("state", f"must be trained or initial, not {state!r}")
    if batch_size is not None:
        COUNT.check("batch_size", batch_size)
    chosen, listener, folder = make_target(target, opset, threads), as_listener(progress), Path(out)
    limits = _limits(target, ram, flash, recompute)
    trained = load_run(Path(run))
    if precision is not None and precision not in PRECISIONS:
        raise WrongValue("precision", f"must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    chosen.suited(precision or trained.precision)
    if state_bits is not None and state_bits not in (32, *SHORT_BITS):
        raise WrongValue("state_bits", f"must be 32, 16 or 8, not {state_bits}")
    check_bundle_place(folder)
    tuning = tuning_of(given)
    listener.noted(f"exporting {trained.path}; this takes some seconds a block")
    where = Path(data_dir) if data_dir is not None else None
    specs = [step.spec for step in trained.steps]
    side = of_a_sample(specs)
    examples = training_samples(trained.data, specs[0].input, where, listener.noted, trained.data_options, side)
    manifest = export_run(
        trained,
        folder,
        state=state,
        batch_size=batch_size,
        target=chosen,
        precision=precision,
        examples=examples,
        fine_tuning=tuning,
        merge=merge,
        limits=limits,
        state_bits=state_bits,
    )
    if tuning:
        how = (trained.rule, trained.optimizer, manifest.batch_size, manifest.precision)
        steps = (make_steps(network, *how) for network in (trained.plain, fine_tuned(trained.plain, tuning)))
        listener.noted(savings(*steps))
    for block, notes in manifest.recipe.get("notes", {}).items():
        for note in notes:
            listener.noted(f"{block}: {note}")
    return open_bundle(folder, verify=False)


def _limits(target: str, ram: str | int | None, flash: str | int | None, recompute: str | None) -> MicrocontrollerLimits:
    for name, value in (("ram", ram), ("flash", flash), ("recompute", recompute)):
        if value is not None and target != MICROCONTROLLER:
            raise WrongValue(name, f"is for the target {MICROCONTROLLER}, not {target}; leave it out")
    return MicrocontrollerLimits.of(ram, flash, recompute)
