"""`edgebll train`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgebll.cli.commands.train_options import (
    AugmentOption,
    BatchSizeOption,
    BlocksOption,
    ChannelsLastOption,
    CheckpointStepsOption,
    CompileOption,
    DataOption,
    DeviceOption,
    EpochsOption,
    EvaluateEpochsOption,
    LimitOption,
    LrOption,
    MomentumOption,
    NesterovOption,
    NetworkKeyValues,
    NetworkOption,
    OptimizerKeyValues,
    OptimizerOption,
    OutOption,
    OverwriteOption,
    PrecisionOption,
    ResumeOption,
    RuleKeyValues,
    RuleOption,
    ScheduleOption,
    SeedOption,
    SplitOption,
    ThreadsOption,
    WarmupStepsOption,
    WeightDecayOption,
)
from edgebll.cli.data_options import DataDirOption
from edgebll.cli.machine_facts import import_torch
from edgebll.cli.option_parsing import OPTIMIZER_SHORTHANDS, optimizer_options, parse_options
from edgebll.cli.output import JsonOption, print_json, say, with_source
from edgebll.cli.progress import RunProgress
from edgebll.kernel.errors import ConfigError, MissingExtraError
from edgebll.kernel.limits import usable_cores

if TYPE_CHECKING:
    from edgebll.learning.training import TrainConfig

#: Options that say where and how, not what is trained: they may differ when a run is resumed.
_NOT_CONFIG = {"out", "overwrite", "resume", "data_dir", "json"}


def train(
    context: typer.Context,
    out: OutOption,
    data: DataOption = "digits",
    network: NetworkOption = "resnet8",
    network_option: NetworkKeyValues = None,
    blocks: BlocksOption = None,
    split: SplitOption = "even",
    rule: RuleOption = "bll",
    rule_option: RuleKeyValues = None,
    epochs: EpochsOption = 2,
    batch_size: BatchSizeOption = 64,
    seed: SeedOption = 0,
    optimizer: OptimizerOption = "sgd",
    optimizer_option: OptimizerKeyValues = None,
    lr: LrOption = None,
    schedule: ScheduleOption = "cosine",
    warmup_steps: WarmupStepsOption = 0,
    momentum: MomentumOption = None,
    nesterov: NesterovOption = None,
    weight_decay: WeightDecayOption = None,
    precision: PrecisionOption = "float32",
    limit: LimitOption = None,
    augment: AugmentOption = "none",
    threads: ThreadsOption = None,
    checkpoint_steps: CheckpointStepsOption = 500,
    evaluate_epochs: EvaluateEpochsOption = 1,
    device: DeviceOption = "cpu",
    compile: CompileOption = False,
    channels_last: ChannelsLastOption = False,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    json: JsonOption = False,
) -> None:
    """Train a network block by block on this machine and write a run folder.

    The run folder holds run.json, metrics.jsonl, summary.json, curves.png, the states before training (initial/) and
    after it (checkpoint/). Interrupted, it goes on with --resume, which gives the same weights as an undisturbed run.
    With --overwrite an earlier run is kept as OUT.previous until the new one is whole.
    """
    import_torch("train", "training")
    options = {name: value for name, value in context.params.items() if name not in _NOT_CONFIG}
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other; give one of them")
    with RunProgress("training") as progress, _hint_on_interrupt(out):
        if resume:
            summary = _resume(out, _given(context, options), data_dir, progress)
        else:
            summary = _train(out, _config(options), data_dir, overwrite, progress)
    with _without_pictures():
        from edgebll.kernel.plots import draw_curves

        draw_curves(out)
    report(out, summary, json)


def _train(out: Path, config: TrainConfig, data_dir: Path | None, overwrite: bool, progress: RunProgress) -> dict[str, Any]:
    from edgebll.learning import training
    from edgebll.learning.training.torch_device import CPU, resolve_device

    if config.device == CPU and resolve_device("auto") != CPU:
        say("edgebll: training on the processor, to the same bits every time; there is a GPU too: --device cuda")
    return training.train(config, out, data_dir=data_dir, overwrite=overwrite, listener=_listener(progress))


def _resume(out: Path, given: Mapping[str, Any], data_dir: Path | None, progress: RunProgress) -> dict[str, Any]:
    from edgebll.kernel.runs.run_folder import read_config
    from edgebll.learning import training
    from edgebll.learning.training.config import HOW, parse_run

    recorded = parse_run(read_config(out), out).config
    how = {name: value for name, value in given.items() if name in HOW}
    _check_same(recorded, {name: value for name, value in given.items() if name not in HOW})
    return training.resume(out, data_dir=data_dir, listener=_listener(progress), how=how)


def _config(options: Mapping[str, Any]) -> TrainConfig:
    from edgebll.learning import is_one_block
    from edgebll.learning.training import TrainConfig

    values = dict(options)
    values["network_options"] = parse_options("network", values.pop("network_option") or ())
    if values["blocks"] is None and values["split"] in ("even", "memory"):
        values["blocks"] = 1 if is_one_block(values["rule"]) else 4
    if values["threads"] is None:
        values["threads"] = usable_cores()
    values["rule_options"] = parse_options("rule", values.pop("rule_option") or ())
    values["optimizer_options"] = optimizer_options(values)
    return TrainConfig(**{name: value for name, value in values.items() if name not in OPTIMIZER_SHORTHANDS})


def _given(context: typer.Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that stand on the command line."""
    return {
        name: value
        for name, value in options.items()
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }


def _check_same(recorded: TrainConfig, given: Mapping[str, Any]) -> None:
    """Raise ConfigError if an option given with --resume is not what the run was started with."""
    was = dataclasses.asdict(recorded)
    for name, value in given.items():
        option, old, shown = "--" + name.replace("_", "-"), was.get(name), value
        if name == "network_option":
            different = _differs(recorded, network_options={**recorded.network_options, **parse_options("network", value)})
        elif name == "rule_option":
            different = _differs(recorded, rule_options={**recorded.rule_options, **parse_options("rule", value)})
        elif name in OPTIMIZER_SHORTHANDS:
            options = {**recorded.optimizer_options, **optimizer_options({name: value})}
            different = _differs(recorded, optimizer_options=options)
        else:
            different = old != value
        if different:
            old = "other values" if old is None else old
            shown = " ".join(value) if isinstance(value, list) else value
            raise ConfigError(f"the run was started with {option} {old} and cannot go on with {shown}; leave {option} out")


def _differs(recorded: TrainConfig, **changes: Any) -> bool:
    return dataclasses.replace(recorded, **changes).completed() != recorded.completed()


def _listener(progress: RunProgress) -> Any:
    """`progress` has all hooks of a Listener; it does not inherit from it, so that a terminal bar needs no torch."""
    return progress


@contextlib.contextmanager
def _hint_on_interrupt(out: Path) -> Any:
    try:
        yield
    except KeyboardInterrupt:
        if (out / "checkpoint").exists() and not (out / "summary.json").exists():
            say(f"edgebll: the run is not whole; go on with `edgebll train --out {out} --resume`")
        raise


@contextlib.contextmanager
def _without_pictures() -> Any:
    """A run is worth as much without its pictures: say what to install and go on."""
    try:
        yield
    except MissingExtraError as error:
        say(f"edgebll: no curves.png: {error}")


def report(out: Path, summary: Mapping[str, Any], json: bool) -> None:
    """Print a run's result."""
    if json:
        print_json({"run": str(out), **summary})
        return
    data = with_source(summary["data"], summary.get("data_source", ""))
    typer.echo(
        f"{out}: accuracy {100 * summary['accuracy']:.2f} % on {summary['test_samples']} test samples of {data}, "
        f"{summary['steps']} steps in {summary['seconds']:.1f} s ({summary['samples_per_second']:.0f} samples/s)"
    )
