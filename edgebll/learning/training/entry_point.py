"""`edgebll train` as a function: the same options, in any thread, with a callback for progress."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgebll.data.own.given_samples import is_name, live, named_data
from edgebll.kernel.errors import ConfigError, MissingExtraError
from edgebll.kernel.own_code import name_of
from edgebll.kernel.plots import draw_curves
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.runs.run_folder import read_config
from edgebll.kernel.runs.run_result import RunResult
from edgebll.kernel.support.option_values import KeyValues
from edgebll.learning.finetuning.tuning_options import PatternNumbers, Patterns
from edgebll.learning.training import trainer
from edgebll.learning.training.config import HOW, parse_run
from edgebll.learning.training.torch_device import CPU, resolve_device
from edgebll.learning.training.train_options import check_same, config_of

Place = str | os.PathLike[str]
#: A name, or what could be imported by one.
Named = str | type[Any] | Callable[..., Any]
#: Arguments that say where and how, not what is trained: they may differ when a run is resumed.
NOT_CONFIG = ("out", "overwrite", "resume", "data_dir", "progress")


def train(
    out: Place,
    *,
    data: Any = "digits",
    data_option: KeyValues | None = None,
    task: Named | None = None,
    task_option: KeyValues | None = None,
    network: Named = "resnet8",
    network_option: KeyValues | None = None,
    blocks: int | None = None,
    split: str = "even",
    rule: Named = "bll",
    rule_option: KeyValues | None = None,
    epochs: int = 2,
    batch_size: int = 64,
    seed: int = 0,
    optimizer: Named = "sgd",
    optimizer_option: KeyValues | None = None,
    lr: float | None = None,
    schedule: str = "cosine",
    warmup_steps: int = 0,
    momentum: float | None = None,
    nesterov: bool | None = None,
    weight_decay: float | None = None,
    accumulate: int | None = None,
    state_bits: int | None = None,
    precision: str = "float32",
    weights: Place | None = None,
    weights_except: Patterns = None,
    freeze: Patterns = None,
    trainable: str = "all",
    lr_for: PatternNumbers = None,
    decay_for: PatternNumbers = None,
    adapter: str = "none",
    rank: int = 4,
    alpha: float | None = None,
    adapt: Patterns = None,
    limit: int | None = None,
    augment: str = "none",
    sampling: str = "uniform",
    last_batch: str = "drop",
    threads: int | None = None,
    checkpoint_steps: int = 500,
    evaluate_epochs: int = 1,
    device: str = "cpu",
    compile: bool = False,
    channels_last: bool | None = None,
    data_dir: Place | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: EventCallback | Listener | None = None,
) -> RunResult:
    """Train a network block by block on this machine and write a run folder.

    It may be called in any thread, and where an event loop runs; nothing is printed. Interrupted, it goes on with
    `resume=True`, which gives the same weights as an undisturbed run; options that are given then must be those it began with.

    Args:
        out: the run folder to write.
        data: name of the data set, the path of own data, or samples as they are: arrays (x, y), an iterable or a torch Dataset
            of pairs (sample, label), or {"train": ..., "test": ...} of such; those are kept in the run folder. Or a
            `edgebll.data.LiveSource`, whose samples are still to come.
        data_option: options of own data, e.g. {"size": 64}.
        task: what is learnt, one of `edgebll.kernel.tasks.TASKS`, FILE.py:NAME, or a class of a file of your own; by default
            what the data's labels suggest.
        task_option: options of the task, e.g. {"class_weights": (1, 3)}.
        network: its name, as `edgebll networks` lists them or FILE.py:NAME, or a class or function of a file of your own.
        network_option: options of the network, e.g. {"width": 32}.
        blocks: cut the network into so many blocks; by default 4, and 1 for rules that train whole networks.
        split: where it is cut: "even", "auto", "memory", "stages", the number of units of each block, e.g. "5,4,4,4", or of
            your own networks the layers it is cut after, e.g. "features.3,features.7".
        rule: name of the learning rule, or a class of your own, as for the network.
        rule_option: options of the rule, e.g. {"match": 2}.
        epochs: passes over the training data, at least 1.
        batch_size: samples of a training step, at least 1.
        seed: decides initial weights of the blocks and the order of samples; auxiliary networks begin alike in every run.
        optimizer: of every block, "sgd", "adam" or "adamw", or a class of your own, as for the network.
        optimizer_option: options of the optimizer, e.g. {"clip_norm": 1}.
        lr: peak learning rate; by default 0.05 for "sgd" and 0.001 for the others.
        schedule: "constant", "cosine" or "step".
        warmup_steps: steps of linear warm-up.
        momentum: short for optimizer_option={"momentum": ...}.
        nesterov: short for optimizer_option={"nesterov": ...}.
        weight_decay: short for optimizer_option={"weight_decay": ...}.
        accumulate: short for optimizer_option={"accumulate": ...}: an update every so many steps; by default every step.
        state_bits: short for optimizer_option={"state_bits": ...}: 16 or 8 for weights and moments of that many bits with a
            unit a row, as microcontrollers can keep them; by default 32, float32.
        precision: numbers of the forward and backward pass, "float32", "mixed", "bfloat16" or "int8".
        weights: file of the weights that the network begins with, a state_dict saved by torch.save or safetensors.
        weights_except: patterns of names that the file leaves out and that stay as they are drawn, e.g. "head.*".
        freeze: patterns of what is not trained, e.g. ["block0.*"], see `edgebll.kernel.spec.fine_tuning.FineTuning`.
        trainable: what is trained of the rest, "all", or "head" for the last layer with parameters.
        lr_for: pattern -> factor of the learning rate of what it means, e.g. {"block0.*": 0.1}.
        decay_for: pattern -> weight decay of what it means, e.g. {"*.bias": 0}.
        adapter: "none", or "lora" for low-rank corrections of frozen layers, see `edgebll.learning.adapters.low_rank`.
        rank: of the corrections.
        alpha: they are multiplied by alpha / rank; by default the rank.
        adapt: patterns of the layers with an adapter; by default all linear layers and convolutions.
        limit: use at most so many training samples.
        augment: what happens to training images, "none", "standard" or "reflect".
        sampling: how training samples are drawn, "uniform", "balanced" by class, or by own weights, "weights:FILE.npy" or
            "weights:NAME" of an array of the data.
        last_batch: "drop" leaves an epoch's last samples out if they fill no batch, "mask" trains on them too.
        threads: of PyTorch; by default the usable cores.
        checkpoint_steps: a checkpoint every so many steps, besides one after every evaluation.
        evaluate_epochs: an evaluation after every so many epochs, and after the last one.
        device: "cpu", "cuda" or "auto"; only "cpu" gives the same bits every time.
        compile: compile the steps.
        channels_last: whether maps have their channels last in memory; by default where that pays, which is in bfloat16.
        data_dir: folder with the data set's files.
        overwrite: replace a run that is already at `out`.
        resume: go on with the unfinished run at `out`.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The run's folder, accuracy, loss, hash of the final states and summary.

    Raises:
        ConfigError: an option is wrong, or not the one that a run began with which is resumed.
        DataError: the data set is missing or damaged.
        BundleError: there is no run to resume.
        StorageError: there is a run at `out`, or the disk refuses.
        MissingExtraError: torch is not installed.

    Examples:
        >>> import edgebll
        >>> steps = []
        >>> result = edgebll.train(
        ...     "trained", network="mlp", blocks=2, limit=160, epochs=1, batch_size=16,
        ...     progress=lambda event: steps.append(event.step) if event.kind == "step" else None,
        ... )
        >>> steps, result.summary["steps"]
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10)
    """
    arguments = dict(locals())
    options = {name: value for name, value in arguments.items() if name not in NOT_CONFIG}
    options |= {kind: name_of(kind, options[kind]) for kind in ("network", "rule", "optimizer")}
    options["task"] = None if task is None else name_of("task", task)
    listener = as_listener(progress)
    if resume:
        if overwrite:
            raise ConfigError("--resume and --overwrite exclude each other; give one of them")
        defaults = {name: parameter.default for name, parameter in inspect.signature(train).parameters.items()}
        given = {name: value for name, value in options.items() if name == "data" or value != defaults[name]}
        if is_name(data) and data != defaults["data"]:
            given["data"] = os.fspath(data)
        else:
            del given["data"]  # the run has its own
        with live(data):
            return go_on(Path(out), given, data_dir, listener)
    with named_data(data, Path(out)) as (name, samples):
        return begin(Path(out), {**options, "data": name}, data_dir, listener, overwrite=overwrite, samples=samples)


def begin(
    out: Path,
    options: Mapping[str, Any],
    data_dir: Place | None,
    listener: Listener,
    *,
    overwrite: bool,
    samples: Path | None = None,
) -> RunResult:
    """Train into a new run folder.

    Args:
        out: the folder.
        options: all options of `train` that say what is trained.
        data_dir: folder with the data set's files.
        listener: is told how it goes.
        overwrite: replace a run that is already there.
        samples: the folder of the data, which the run is to keep in its own; None where they stay where they are.
    """
    config = config_of(options)
    if config.device == CPU and resolve_device("auto") != CPU:
        listener.noted("training on the processor, to the same bits every time; there is a GPU too: --device cuda")
    summary = trainer.train(config, out, data_dir=_path(data_dir), overwrite=overwrite, listener=listener, samples=samples)
    return _finished(out, summary, listener)


def go_on(out: Path, given: Mapping[str, Any], data_dir: Place | None, listener: Listener) -> RunResult:
    """Go on with an unfinished run.

    Args:
        out: its folder.
        given: those options of `train` that are given again, which must be those it began with, and those of HOW.
        data_dir: folder with the data set's files.
        listener: is told how it goes.
    """
    recorded = parse_run(read_config(out), out).config
    how = {name: value for name, value in given.items() if name in HOW}
    check_same(recorded, {name: value for name, value in given.items() if name not in HOW})
    return _finished(out, trainer.resume(out, data_dir=_path(data_dir), listener=listener, how=how), listener)


def _path(place: Place | None) -> Path | None:
    return Path(place) if place is not None else None


def _finished(out: Path, summary: Mapping[str, Any], listener: Listener) -> RunResult:
    try:
        draw_curves(out)
    except MissingExtraError as error:  # a run is worth as much without its pictures
        listener.noted(f"no curves.png: {error}")
    result = RunResult.of(out, summary)
    listener.finished(result)
    return result
