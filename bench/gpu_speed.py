"""Training steps on an NVIDIA GPU: TensorRT against PyTorch eager and torch.compile, in float32 and in mixed precision.

    python bench/gpu_speed.py [--batches 1 8 64] [--seconds 2] [--network resnet18] [--skip-conformance] [--check]

Needs a GPU, TensorRT, PyTorch with CUDA and the packages of `edgebll[export]`. First the conformance suite runs on this GPU; a
runtime that computes something else has no speed. Then for every block of the network, batch and precision the contenders take
turns, so that a change of clocks hits all of them; medians. Measured is the GPU alone, inputs and outputs resident, many steps
between two synchronisations; beside it the step as a board does it, from host memory to host memory.
Goal: at least twice as fast as PyTorch eager in mixed precision at batch 64, geometric mean over the blocks. The table goes to
bench/RESULTS.md; with --check the exit status is 1 where the goal is missed. Exit status 10 where there is no GPU to measure.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_loop import STEPS, resident, torch_loop
from results import machine, table, write_section
from timing import medians

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import EdgebllError, MissingExtraError
from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import make_network
from edgebll_devices.runtimes import LoadContext, missing
from edgebll_devices.runtimes.tensorrt import TensorRTBlock, load_tensorrt_block
from edgebll_devices.runtimes.tensorrt.find_library import load_library
from edgebll_export import export_bundle, make_target

PRECISIONS = ("float32", "mixed")
GOAL, GOAL_BATCH = 2.0, 64
INPUT_SHAPE, NUM_CLASSES = (3, 32, 32), 10
LR = 0.01
_ROOT = Path(__file__).parents[1]
_CONFORMANCE_S = 3600.0


@dataclass(frozen=True)
class Row:
    """Milliseconds a step of one block by contender."""

    block: str
    batch: int
    precision: str
    ms: dict[str, float]

    @property
    def gain(self) -> float:
        """How many times faster than PyTorch eager in the same precision."""
        return self.ms["eager"] / self.ms["TensorRT"]


def check_machine() -> None:
    """Raise MissingExtraError, in one sentence, if there is nothing to measure here."""
    reason = missing("tensorrt")
    if reason is not None:
        raise MissingExtraError(f"there is no GPU to measure: {reason}")
    if not torch.cuda.is_available():
        raise MissingExtraError("PyTorch sees no GPU to compare with: install a PyTorch with CUDA beside TensorRT")


def conformance() -> bool:
    """Whether the conformance suite passes on this GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/conformance", "-k", "tensorrt"]
    return subprocess.run(command, cwd=_ROOT, timeout=_CONFORMANCE_S, check=False).returncode == 0


def measure_block(bundle: Bundle, step: BlockStep, module: torch.nn.Module, budget_s: float) -> Row:
    """Times of one block; the bundle says batch and precision."""
    precision, spec = bundle.manifest.precision, step.spec
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(spec.input.shape, generator=generator).relu()
    labels = torch.randint(0, NUM_CLASSES, (spec.labels.shape[0],), generator=generator)
    y = torch.nn.functional.one_hot(labels, NUM_CLASSES).float()
    with load_tensorrt_block(bundle, step.name, LoadContext(say=_say)) as block:
        runs = {
            "TensorRT": resident(block, x, y, LR),
            "TensorRT, host to host": _host_to_host(block, x, y),
            "eager": torch_loop(step, module, x, y, LR, precision),
            "compile": torch_loop(step, module, x, y, LR, precision, compiled=True),
        }
        times = medians(runs, budget_s)
    steps = {name: 1 if name.endswith("host") else STEPS for name in times}
    row = Row(step.name, spec.input.shape[0], precision, {name: 1e3 * t / steps[name] for name, t in times.items()})
    _say(f"batch {row.batch}, {precision}, {row.block}: " + ", ".join(f"{name} {ms:.3f} ms" for name, ms in row.ms.items()))
    return row


def _host_to_host(block: TensorRTBlock, x: torch.Tensor, y: torch.Tensor) -> Callable[[], object]:
    x_array, y_array = x.numpy().astype(block.spec.input.dtype), y.numpy()
    return lambda: block.train(x_array, y_array, {"lr": LR})


def measure(network: str, batches: Sequence[int], budget_s: float) -> Iterator[Row]:
    """All blocks of a network, batches and precisions."""
    target = "tensorrt-10" if load_library().strongly_typed else "tensorrt-8.6"
    rule, optimizer = make_rule("bll"), SGD()
    for batch in batches:
        for precision in PRECISIONS:
            made = make_network(network, num_blocks=4, num_classes=NUM_CLASSES, input_shape=INPUT_SHAPE, seed=0)
            steps = make_steps(made, rule, optimizer, batch)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "bundle"
                export_bundle(
                    made,
                    rule=rule,
                    optimizer=optimizer,
                    batch_size=batch,
                    path=path,
                    target=make_target(target),
                    precision=precision,
                )
                for step, module in zip(steps, made.blocks, strict=True):
                    yield measure_block(open_bundle(path), step, module, budget_s)


def gain(rows: Sequence[Row], precision: str, batch: int) -> float:
    """Geometric mean over the blocks of how many times faster TensorRT is than PyTorch eager; nan if not measured."""
    gains = [row.gain for row in rows if (row.precision, row.batch) == (precision, batch)]
    return statistics.geometric_mean(gains) if gains else float("nan")


def report(rows: Sequence[Row], network: str) -> str:
    """The section of RESULTS.md."""
    contenders = list(rows[0].ms)
    header = ["block", "precision", "batch", *(f"{name} ms" for name in contenders), "eager / TensorRT"]
    lines = [
        [row.block, row.precision, str(row.batch), *(f"{row.ms[name]:.3f}" for name in contenders), f"{row.gain:.2f}"]
        for row in rows
    ]
    means = ", ".join(
        f"{gain(rows, precision, batch):.2f} ({precision}, batch {batch})"
        for batch in dict.fromkeys(row.batch for row in rows)
        for precision in PRECISIONS
    )
    conditions = (
        f"Conditions: {torch.cuda.get_device_name()}, {machine()}; {load_library().title}, PyTorch {torch.__version__}; "
        f"{network}, inputs {INPUT_SHAPE}, 4 blocks, BLL, SGD with Nesterov momentum; float32 without TF32 in both, mixed is "
        "float16 with float32 master weights (PyTorch: autocast and GradScaler); cuDNN chooses by benchmark; contenders in "
        "turn, medians. TensorRT and PyTorch with everything on the GPU; host to host is the step as a board does it."
    )
    goal = gain(rows, "mixed", GOAL_BATCH)
    verdict = "met" if goal >= GOAL else "MISSED"
    aim = f"Goal: {GOAL} times in mixed precision at batch {GOAL_BATCH}: {verdict} ({goal:.2f})."
    title = "## Training steps on a GPU: TensorRT against PyTorch"
    return f"{title}\n\n{conditions}\n\n{table(header, lines)}\n\nGeometric means of eager / TensorRT: {means}. {aim}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description="Training steps on an NVIDIA GPU: TensorRT against PyTorch.")
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, GOAL_BATCH])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each block, batch and precision")
    parser.add_argument("--skip-conformance", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit with 1 where the goal is missed; does not write RESULTS.md")
    options = parser.parse_args()
    try:
        check_machine()
        if not options.skip_conformance and not conformance():
            _say("gpu_speed.py: the conformance suite fails on this GPU; a wrong runtime has no speed")
            return 1
        rows = list(measure(options.network, options.batches, options.seconds))
    except EdgebllError as error:
        _say(f"gpu_speed.py: {error}")
        return error.exit_code
    text = report(rows, options.network)
    print(text)
    if not options.check:
        write_section("gpu-speed", text)
        return 0
    return 0 if gain(rows, "mixed", GOAL_BATCH) >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
