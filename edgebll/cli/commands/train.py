"""`edgebll train`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from edgebll.cli.commands.train_options import (
    AccumulateOption,
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
    LastBatchOption,
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
    SamplingOption,
    ScheduleOption,
    SeedOption,
    SplitOption,
    StateBitsOption,
    TaskKeyValues,
    TaskOption,
    ThreadsOption,
    WarmupStepsOption,
    WeightDecayOption,
    WeightsExceptOption,
    WeightsOption,
)
from edgebll.cli.data_options import DataDirOption, DataKeyValues
from edgebll.cli.fine_tuning_options import (
    AdapterOption,
    AdaptOption,
    AlphaOption,
    DecayForOption,
    FreezeOption,
    LrForOption,
    RankOption,
    TrainableOption,
)
from edgebll.cli.interrupted_run import hint_on_interrupt
from edgebll.cli.output import JsonOption, print_json, with_source
from edgebll.cli.progress import RunProgress
from edgebll.kernel.runs.metric_text import metric_text
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.optional_imports import import_torch


def train(
    context: typer.Context,
    out: OutOption,
    data: DataOption = "digits",
    data_option: DataKeyValues = None,
    task: TaskOption = None,
    task_option: TaskKeyValues = None,
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
    accumulate: AccumulateOption = None,
    state_bits: StateBitsOption = None,
    precision: PrecisionOption = "float32",
    weights: WeightsOption = None,
    weights_except: WeightsExceptOption = None,
    freeze: FreezeOption = None,
    trainable: TrainableOption = "all",
    lr_for: LrForOption = None,
    decay_for: DecayForOption = None,
    adapter: AdapterOption = "none",
    rank: RankOption = 4,
    alpha: AlphaOption = None,
    adapt: AdaptOption = None,
    limit: LimitOption = None,
    augment: AugmentOption = "none",
    sampling: SamplingOption = "uniform",
    last_batch: LastBatchOption = "drop",
    threads: ThreadsOption = None,
    checkpoint_steps: CheckpointStepsOption = 500,
    evaluate_epochs: EvaluateEpochsOption = 1,
    device: DeviceOption = "cpu",
    compile: CompileOption = False,
    channels_last: ChannelsLastOption = None,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    json: JsonOption = False,
) -> None:
    """Train a network block by block on this machine and write a run folder.

    The run folder holds run.json, metrics.jsonl, summary.json, curves.png, the states before training (initial/) and
    after it (checkpoint/); of spiking networks also spikes.png, a raster of each block. Interrupted, it goes on with
    --resume, which gives the same weights as an undisturbed run.
    With --overwrite an earlier run is kept as OUT.previous until the new one is whole.
    """
    import_torch("train", "training")
    from edgebll.learning.training import entry_point

    with spelled_as_options(), RunProgress("training") as progress, hint_on_interrupt(out):
        if resume and not overwrite:
            result = entry_point.go_on(out, _given(context, entry_point.NOT_CONFIG), data_dir, progress)
        else:
            options = {name: value for name, value in context.params.items() if name != "json"}
            result = entry_point.train(**options, progress=progress)
    report(out, result.summary, json)


def _given(context: typer.Context, others: Sequence[str]) -> dict[str, Any]:
    """Those options that stand on the command line, without some others."""
    return {
        name: value
        for name, value in context.params.items()
        if name not in (*others, "json") and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }


def _without_loss(metrics: Mapping[str, float]) -> Mapping[str, float]:
    """The task's own figures, or the loss where it has none."""
    return {name: value for name, value in metrics.items() if name != "loss"} or metrics


def report(out: Path, summary: Mapping[str, Any], json: bool) -> None:
    """Print a run's result."""
    if json:
        print_json({"run": str(out), **summary})
        return
    data = with_source(summary["data"], summary.get("data_source", ""))
    typer.echo(
        f"{out}: {metric_text(_without_loss(summary['metrics']))} on {summary['test_samples']} test samples of {data}, "
        f"{summary['steps']} steps in {summary['seconds']:.1f} s ({summary['samples_per_second']:.0f} samples/s)"
    )
