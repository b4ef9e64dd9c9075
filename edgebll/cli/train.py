"""`edgebll train`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.machine import import_torch, usable_cores
from edgebll.cli.options import OPTIMIZER_SHORTHANDS, optimizer_options, parse_options
from edgebll.cli.output import JsonOption, print_json, say, with_source
from edgebll.cli.progress import RunProgress
from edgebll.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from edgebll.training import TrainConfig

#: Options that say where and how, not what is trained: they may differ when a run is resumed.
_NOT_CONFIG = {"out", "overwrite", "resume", "data_dir", "json"}

DataDirOption = Annotated[
    Path | None,
    typer.Option(help="Folder with the data set's files. [default: EDGEBLL_DATA, the user's and the system's data folders]"),
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(short_help="Train a network on this machine.")(train)


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    data: Annotated[str, typer.Option(help="Data set; `edgebll data list` lists them.")] = "digits",
    network: Annotated[str, typer.Option(help="Network; `edgebll networks` lists them.")] = "resnet8",
    network_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the network, e.g. width=32; repeatable.")
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(
            help="Cut the network into so many blocks. [default: 4; 1 for rules that train whole networks]", show_default=False
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Where it is cut: even, stages (after each stage of maps of one size), or the number of units of each block, "
            "e.g. 5,4,4,4."
        ),
    ] = "even",
    rule: Annotated[str, typer.Option(help="Learning rule; `edgebll rules` lists them.")] = "bll",
    rule_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the rule, e.g. match=2; repeatable.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training data.")] = 2,
    batch_size: Annotated[int, typer.Option(help="Samples of a training step.")] = 64,
    seed: Annotated[int, typer.Option(help="Decides initial weights and the order of samples.")] = 0,
    optimizer: Annotated[str, typer.Option(help="Optimizer of every block: sgd, adam or adamw.")] = "sgd",
    optimizer_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the optimizer, e.g. clip_norm=1; repeatable.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate. [default: 0.05 for sgd, 0.001 for others]", show_default=False)
    ] = None,
    schedule: Annotated[str, typer.Option(help="Learning rate over the run: constant, cosine or step.")] = "cosine",
    warmup_steps: Annotated[int, typer.Option(help="Steps of linear warm-up.")] = 0,
    momentum: Annotated[
        float | None, typer.Option(help="Short for --optimizer-option momentum=NUMBER.", show_default=False)
    ] = None,
    nesterov: Annotated[
        bool | None,
        typer.Option(help="Nesterov's variant of momentum. [default: on where there is momentum]", show_default=False),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Short for --optimizer-option weight_decay=NUMBER.", show_default=False)
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Numbers of the forward and backward pass: float32, mixed (float16) or bfloat16.")
    ] = "float32",
    limit: Annotated[int | None, typer.Option(help="Use at most so many training samples.")] = None,
    augment: Annotated[
        str,
        typer.Option(
            help="What happens to training images: none, standard (shifted by up to 4 pixels, mirrored half of the time) or "
            "reflect (the same with a reflected border)."
        ),
    ] = "none",
    threads: Annotated[
        int | None, typer.Option(help="Threads of PyTorch. [default: the usable cores]", show_default=False)
    ] = None,
    checkpoint_steps: Annotated[
        int, typer.Option(help="A checkpoint every so many steps, besides one after every evaluation.")
    ] = 500,
    evaluate_epochs: Annotated[int, typer.Option(help="An evaluation after every so many epochs, and after the last one.")] = 1,
    device: Annotated[
        str,
        typer.Option(
            help="cpu, cuda (a GPU) or auto (a GPU where there is one). Only the cpu gives the same bits every time; a run may "
            "go on elsewhere."
        ),
    ] = "cpu",
    compile: Annotated[
        bool,
        typer.Option("--compile/--no-compile", help="Compile the steps: minutes at first, then faster, on GPUs above all."),
    ] = False,
    channels_last: Annotated[
        bool,
        typer.Option(
            "--channels-last/--channels-first",
            help="How maps lie in memory; GPUs' half-precision convolutions want channels last.",
        ),
    ] = False,
    data_dir: DataDirOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already at --out.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run at --out.")] = False,
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
        from edgebll.plots import draw_curves

        draw_curves(out)
    report(out, summary, json)


def _train(out: Path, config: TrainConfig, data_dir: Path | None, overwrite: bool, progress: RunProgress) -> dict[str, Any]:
    from edgebll import training
    from edgebll.training.placement import CPU, resolve_device

    if config.device == CPU and resolve_device("auto") != CPU:
        say("edgebll: training on the processor, to the same bits every time; there is a GPU too: --device cuda")
    return training.train(config, out, data_dir=data_dir, overwrite=overwrite, listener=_listener(progress))


def _resume(out: Path, given: Mapping[str, Any], data_dir: Path | None, progress: RunProgress) -> dict[str, Any]:
    from edgebll import training
    from edgebll.runfolder import read_config
    from edgebll.training.config import HOW, parse_run

    recorded = parse_run(read_config(out), out).config
    how = {name: value for name, value in given.items() if name in HOW}
    _check_same(recorded, {name: value for name, value in given.items() if name not in HOW})
    return training.resume(out, data_dir=data_dir, listener=_listener(progress), how=how)


def _config(options: Mapping[str, Any]) -> TrainConfig:
    from edgebll.learning import is_one_block
    from edgebll.training import TrainConfig

    values = dict(options)
    values["network_options"] = parse_options("network", values.pop("network_option") or ())
    if values["blocks"] is None and values["split"] == "even":
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
