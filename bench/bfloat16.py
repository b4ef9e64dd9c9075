"""Training in bfloat16 with channels last on a processor, against float32 and against a plain PyTorch loop.

    python bench/bfloat16.py [--threads 1] [--budget 8] [--compiled RULE ...] [--check]

ResNet-18 of width 16 on batches of 64 images of 32 x 32, as `edgebll train` computes a step of all blocks in either precision,
and the loop that one writes without edgebll: the same modules in channels last under autocast, the rule's loss by its formula,
loss.backward(), the fused SGD. They take turns (timing.py). With one thread the clock counts the process's own time, which
others on the machine disturb little. Goals: at least 0.95 times as fast as the plain loop, and 2.8 times float32 with BLL where
the processor has AMX. The table goes to bench/RESULTS.md; with --check it does not, and the exit status is 1 where a goal is
missed. Compiling the steps of a rule takes a minute or two.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from contenders import Run
from results import machine, table, write_section
from timing import medians
from torch import Tensor
from torch.nn import functional as F

from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import make_network
from edgebll.learning.training.compiled import CompiledStep, Programs
from edgebll.learning.training.torch_device import TensorPlacement

BATCH, WIDTH, IMAGE, CLASSES, LR = 64, 16, (3, 32, 32), 10, 0.05
#: Rule with its options -> blocks.
RULES = {"backprop": 1, "bll": 4, "bll, 8 blocks": 8, "greedy, classifier=conv": 4}
AGAINST_PLAIN, AGAINST_FLOAT32 = 0.95, 2.8
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """Median seconds of a step of all blocks, by contender."""

    rule: str
    threads: int
    seconds: dict[str, float]

    def times(self, contender: str, other: str = "bfloat16") -> float:
        """How many times as fast `other` is."""
        return self.seconds[contender] / self.seconds[other]


def features() -> list[str]:
    """What the processor has for products in bfloat16."""
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "").split()
    return [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags]


def steps_of(rule: str, precision: str) -> list[BlockStep]:
    """The training steps of the network's blocks."""
    name, *options = rule.split(", ")
    told = dict(option.split("=") for option in options if "=" in option)
    network = make_network(
        "resnet18", num_blocks=RULES[rule], num_classes=CLASSES, input_shape=IMAGE, seed=0, options={"width": WIDTH}
    )
    return make_steps(network, make_rule(name, **told), SGD(), BATCH, precision)


def batch() -> tuple[Tensor, Tensor]:
    """Images and one-hot labels, the same each time."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    return torch.randn(BATCH, *IMAGE, generator=generator), torch.eye(CLASSES)[classes]


def ours(rule: str, precision: str, compiled: bool = False) -> Run:
    """What the trainer does with a batch: float32 as it lies by default, bfloat16 with channels last."""
    steps, place = steps_of(rule, precision), TensorPlacement(CPU, precision != "float32")
    programs: Programs = {}
    calls = [CompiledStep(step, programs, lambda _: None) if compiled else step for step in steps]
    states = [place.put_all(step.initial_state()) for step in steps]
    (images, y), lr = batch(), {"lr": torch.tensor(LR)}
    images = place.put(images)

    def run() -> None:
        x = images
        for index, call in enumerate(calls):
            states[index], x, _, _ = call(states[index], x, y, lr)

    return run


def plain(rule: str) -> Run:
    """The same network and rule as one writes it in PyTorch, in bfloat16 with channels last."""
    steps, (images, y) = steps_of(rule, "float32"), batch()
    blocks, heads = [step.module for step in steps], [step.new_head() for step in steps]
    for module in (*blocks, *heads):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    targets = [torch.zeros(CLASSES, step.spec.output.shape[1]) for step in steps]
    options = {"lr": LR, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, "fused": True}
    optimizers = [
        torch.optim.SGD([*block.parameters(), *head.parameters()], **options)  # type: ignore[arg-type]
        for block, head in zip(blocks, heads, strict=True)
    ]
    images = images.contiguous(memory_format=torch.channels_last)
    is_matched, counts = rule.startswith("bll"), y.sum(0).unsqueeze(1).clamp(min=1)

    def run() -> None:
        x = images
        for index, (block, head, optimizer) in enumerate(zip(blocks, heads, optimizers, strict=True)):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                a = block(x)
                logits = head(a)
            loss = F.cross_entropy(logits.float(), y)
            if is_matched and index + 1 < len(blocks):
                pooled = a.float().mean((2, 3))
                targets[index].lerp_(y.t() @ pooled.detach() / counts, 0.1)  # every class is in the batch
                loss = loss + (pooled - y @ targets[index]).square().sum(1).mean() / 8
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            x = a.detach()

    return run


def measure(rule: str, threads: int, budget_s: float, compiled: bool) -> Row:
    """One row of the table."""
    torch.set_num_threads(threads)
    runs = {"float32": ours(rule, "float32"), "bfloat16": ours(rule, "bfloat16"), "plain": plain(rule)}
    if compiled:
        runs["compiled"] = ours(rule, "bfloat16", compiled=True)
    row = Row(rule, threads, medians(runs, budget_s, clock=time.process_time if threads == 1 else time.perf_counter))
    print(f"{rule}, {threads} threads: {row.times('float32'):.2f} x float32, {row.times('plain'):.2f} x plain", flush=True)
    return row


def missed(rows: Sequence[Row]) -> list[str]:
    """The goals that are not met, in words."""
    found = []
    for row in rows:
        place = f"{row.rule} with {row.threads} threads is"
        if row.times("plain") < AGAINST_PLAIN:
            found.append(f"{place} {row.times('plain'):.2f} times as fast as the plain loop")
        if "amx_bf16" in features() and row.rule.startswith("bll") and row.times("float32") < AGAINST_FLOAT32:
            found.append(f"{place} {row.times('float32'):.2f} times as fast as float32")
    return found


def goals(rows: Sequence[Row]) -> str:
    """Which goals apply here, and whether they are met."""
    has_amx, lost = "amx_bf16" in features(), missed(rows)
    wanted = f"at least {AGAINST_PLAIN} times as fast as the plain loop"
    wanted += f", BLL at least {AGAINST_FLOAT32} times as fast as float32" if has_amx else ""
    text = f"Goals: {wanted}: {'missed: ' + '; '.join(lost) if lost else 'met'}."
    left = f" The goal of {AGAINST_FLOAT32} times float32 is for processors with AMX and cannot be measured here."
    return text if has_amx else text + left


def report(rows: Sequence[Row]) -> str:
    """The section of RESULTS.md."""
    header = ["rule", "blocks", "threads", "float32 ms", "bfloat16 ms", "plain loop ms", "x float32", "x plain loop"]
    header += ["compiled ms", "compiled x bfloat16"]
    lines = []
    for row in rows:
        figures = [f"{1e3 * row.seconds[name]:.1f}" for name in ("float32", "bfloat16", "plain")]
        line = [row.rule.removesuffix(", 8 blocks"), str(RULES[row.rule]), str(row.threads), *figures]
        line += [f"{row.times('float32'):.2f}", f"{row.times('plain'):.2f}"]
        compiled = "compiled" in row.seconds
        line += [f"{1e3 * row.seconds['compiled']:.1f}", f"{row.times('bfloat16', 'compiled'):.2f}"] if compiled else ["", ""]
        lines.append(line)
    conditions = (
        f"Conditions: {machine()}, with {', '.join(features())}; PyTorch {torch.__version__}; ResNet-18 of width {WIDTH}, "
        f"batches of {BATCH} images of {IMAGE[1]} x {IMAGE[2]}, SGD with Nesterov momentum and weight decay; a step of all "
        "blocks, medians of turns, with one thread of the process's own time. float32 as `edgebll train` has it by default; "
        "bfloat16 and the plain loop with channels last. `make bench-bfloat16`."
    )
    return "\n\n".join(["## Training in bfloat16 on a processor", conditions, table(header, lines), goals(rows)])


def main() -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description="Training in bfloat16 against float32 and a plain loop.")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--threads", nargs="+", type=int, default=(1,), help="more than one needs an idle machine")
    parser.add_argument("--budget", type=float, default=8.0, help="seconds of measuring for each row")
    parser.add_argument("--compiled", nargs="*", choices=RULES, default=[], help="rules whose compiled steps are measured too")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed; does not write RESULTS.md")
    options = parser.parse_args()
    rows = [
        measure(rule, threads, options.budget, rule in options.compiled)
        for threads in options.threads
        for rule in options.rules
    ]
    text = report(rows)
    print(text)
    if options.check:
        return 1 if missed(rows) else 0
    write_section("bfloat16", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
