"""The options of `edgebll train`, as its help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutOption = Annotated[Path, typer.Option(help="The run folder to write.")]
DataOption = Annotated[
    str, typer.Option(help="Data set, see `edgebll data list`, or the path of your own data, see `edgebll data check`.")
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        help="What is learnt: classification, multilabel, regression, segmentation, reconstruction, or FILE.py:NAME or "
        "MODULE:NAME of your own. [default: what the labels suggest]",
        show_default=False,
    ),
]
TaskKeyValues = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the task, e.g. class_weights=1,3; repeatable.")
]
NetworkOption = Annotated[
    str, typer.Option(help="Network; `edgebll networks` lists them. Of your own: FILE.py:NAME or MODULE:NAME.")
]
NetworkKeyValues = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the network, e.g. width=32; repeatable.")
]
BlocksOption = Annotated[
    int | None,
    typer.Option(
        help="Cut the network into so many blocks. [default: 4; 1 for rules that train whole networks]", show_default=False
    ),
]
SplitOption = Annotated[
    str,
    typer.Option(
        "--split",
        "--cut",
        help="Where it is cut: even (layers; of your own networks as auto), auto (multiply-adds), memory (so that the largest "
        "block needs least), stages (after each stage of maps of one size), the number of units of each block, e.g. 5,4,4,4, "
        "or of your own networks the layers it is cut after, e.g. features.3,features.7.",
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        help="Weights the network begins with: a state_dict saved by torch.save or safetensors. All must fit.",
        show_default=False,
    ),
]
WeightsExceptOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN", help="Weights that stay as they are drawn, e.g. 'head.*', whatever the file has; repeatable."
    ),
]
RuleOption = Annotated[
    str, typer.Option(help="Learning rule; `edgebll rules` lists them. Of your own: FILE.py:NAME or MODULE:NAME.")
]
RuleKeyValues = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the rule, e.g. match=2; repeatable.")
]
EpochsOption = Annotated[int, typer.Option(help="Passes over the training data.")]
BatchSizeOption = Annotated[int, typer.Option(help="Samples of a training step.")]
SeedOption = Annotated[int, typer.Option(help="Decides initial weights and the order of samples.")]
OptimizerOption = Annotated[
    str, typer.Option(help="Optimizer of every block: sgd, adam or adamw. Of your own: FILE.py:NAME or MODULE:NAME.")
]
OptimizerKeyValues = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the optimizer, e.g. clip_norm=1; repeatable.")
]
LrOption = Annotated[
    float | None, typer.Option(help="Peak learning rate. [default: 0.05 for sgd, 0.001 for others]", show_default=False)
]
ScheduleOption = Annotated[str, typer.Option(help="Learning rate over the run: constant, cosine or step.")]
WarmupStepsOption = Annotated[int, typer.Option(help="Steps of linear warm-up.")]
MomentumOption = Annotated[
    float | None, typer.Option(help="Short for --optimizer-option momentum=NUMBER. [default: 0.9 for sgd]", show_default=False)
]
NesterovOption = Annotated[
    bool | None,
    typer.Option(help="Nesterov's variant of momentum. [default: on where there is momentum]", show_default=False),
]
WeightDecayOption = Annotated[
    float | None,
    typer.Option(
        help="Short for --optimizer-option weight_decay=NUMBER. [default: 0.0005 for sgd, 0.01 for adamw, 0 for adam]",
        show_default=False,
    ),
]
AccumulateOption = Annotated[
    int | None,
    typer.Option(
        help="Weights move once every so many steps, along the mean of their gradients. [default: every step]",
        show_default=False,
    ),
]
StateBitsOption = Annotated[
    int | None,
    typer.Option(
        help="Bits of weights and moments: 16 or 8 rounds them to multiples of a unit a row at the end of each step, as "
        "microcontrollers can keep them. [default: 32, float32]",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        help="Numbers of the forward and backward pass: float32, mixed (float16), bfloat16, or int8 (activations rounded so "
        "that microcontrollers keep them in a byte)."
    ),
]
LimitOption = Annotated[int | None, typer.Option(help="Use at most so many training samples.")]
AugmentOption = Annotated[
    str,
    typer.Option(
        help="What happens to training images: none, standard (shifted by up to 4 pixels, mirrored half of the time) or "
        "reflect (the same with a reflected border)."
    ),
]
SamplingOption = Annotated[
    str,
    typer.Option(
        help="How training samples are drawn: uniform (each once an epoch), balanced (each class as often, with replacement) "
        "or weights:FILE.npy (by a weight for each sample; weights:NAME for an array of the data)."
    ),
]
LastBatchOption = Annotated[
    str,
    typer.Option(
        help="What becomes of samples that fill no batch at the end of an epoch: drop, or mask (a batch whose step is told how "
        "many count)."
    ),
]
ThreadsOption = Annotated[int | None, typer.Option(help="Threads of PyTorch. [default: the usable cores]", show_default=False)]
CheckpointStepsOption = Annotated[
    int, typer.Option(help="A checkpoint every so many steps, besides one after every evaluation.")
]
EvaluateEpochsOption = Annotated[int, typer.Option(help="An evaluation after every so many epochs, and after the last one.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="cpu, cuda (a GPU) or auto (a GPU where there is one). Only the cpu gives the same bits every time; a run may "
        "go on elsewhere."
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option("--compile/--no-compile", help="Compile the steps: minutes at first, then faster, on GPUs above all."),
]
ChannelsLastOption = Annotated[
    bool | None,
    typer.Option(
        "--channels-last/--channels-first",
        help="How maps lie in memory; half-precision convolutions want channels last. [default: last in bfloat16, and in mixed "
        "on GPUs]",
        show_default=False,
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already at --out.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run at --out.")]
