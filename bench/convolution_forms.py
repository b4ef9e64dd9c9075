"""Every form of convolution gradients on ONNX Runtime, shape by shape: what the rule in convolution_choice.py was read from.

    OMP_NUM_THREADS=1 python bench/convolution_forms.py [--threads 1] [--budget 0.6]

Forms take turns (timing.py). The table goes to bench/RESULTS.md, with what the choices cost over knowing the best.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
from contenders import Run
from results import machine, table, write_section
from timing import medians

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution import direct, winograd
from edgebll_export.lowering.convolution import form_choice as choice
from edgebll_export.lowering.convolution.convolution import INPUT_GRADIENTS, WEIGHT_GRADIENTS
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry

#: channels in, channels out, size, kernel, stride, groups
_SHAPES = [
    (1, 16, 28, 3, 1, 1),
    (16, 16, 28, 3, 1, 1),
    (16, 32, 28, 3, 2, 1),
    (32, 32, 14, 5, 1, 1),
    (64, 64, 14, 3, 1, 1),
    (128, 128, 7, 3, 1, 1),
    (128, 256, 14, 3, 2, 1),
    (256, 256, 7, 3, 1, 1),
    (512, 512, 4, 3, 1, 1),
    (64, 128, 14, 1, 1, 1),
    (128, 128, 7, 1, 1, 1),
    (64, 64, 14, 3, 1, 64),
    (128, 128, 14, 3, 2, 128),
]
_BATCHES = (1, 8, 64)
_DEPTHWISE = {"products", "planes", "bands"}
Form = Callable[[GraphBuilder, dict[str, Value], ConvolutionGeometry], Value]


def geometry(batch: int, shape: tuple[int, ...]) -> ConvolutionGeometry:
    """Square images, padded by half a kernel."""
    channels, out_channels, size, kernel, stride, groups = shape
    padding = kernel // 2
    out = (size + 2 * padding - kernel) // stride + 1
    return ConvolutionGeometry(
        batch, channels, out_channels, groups, *((n, n) for n in (size, out, kernel, stride, padding, 1))
    )


def forms(sizes: ConvolutionGeometry) -> dict[str, dict[str, Form]]:
    """For each of y, dx and dw the forms that apply."""
    plain = sizes.kernel == (3, 3) and sizes.stride == (1, 1) and sizes.groups == 1
    depthwise = sizes.groups == sizes.in_channels > 1
    y: dict[str, Form] = {"direct": lambda g, v, s: direct.forward(g, v["x"], v["w"], None, s)}
    if plain:
        y["winograd"] = lambda g, v, s: winograd.forward(g, v["x"], v["w"], s)
    dx = {name: form for name, form in INPUT_GRADIENTS.items() if plain or name != "winograd"}
    dw = {
        name: form
        for name, form in WEIGHT_GRADIENTS.items()
        if (plain or name != "winograd")
        and (depthwise or name not in _DEPTHWISE)
        and (sizes.groups == 1 or name not in ("columns", "samples"))
        and (sizes.kernel == (1, 1) or name != "samples")
    }
    return {
        "y": y,
        "dx": {name: _of(form, "dy", "w") for name, form in dx.items()},
        "dw": {name: _of(form, "dy", "x") for name, form in dw.items()},
    }


def _of(form: Callable[[GraphBuilder, Value, Value, ConvolutionGeometry], Value], first: str, second: str) -> Form:
    return lambda g, values, sizes: form(g, values[first], values[second], sizes)


def runner(form: Form, sizes: ConvolutionGeometry, threads: int) -> Run:
    """A call of the form on ONNX Runtime with random inputs."""
    g = GraphBuilder()
    shapes = {"x": sizes.in_shape, "w": sizes.weight_shape, "dy": sizes.out_shape}
    values = {name: g.input(name, "float32", shape) for name, shape in shapes.items()}
    g.output("result", form(g, values, sizes))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(g.build("form").SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    inputs = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return lambda: session.run(None, inputs)


def chosen(sizes: ConvolutionGeometry) -> dict[str, str]:
    """What the rule takes."""
    return {
        "y": choice.forward_form(sizes, choice.FormSetting(matrices=True)),
        "dx": choice.input_gradient_form(sizes, choice.FormSetting(matrices=True)),
        "dw": choice.weight_gradient_form(sizes, choice.FormSetting(matrices=True)),
    }


def measure(sizes: ConvolutionGeometry, threads: int, budget_s: float) -> tuple[list[str], list[float]]:
    """The cells of a row, and how many times as long as the best each choice takes."""
    cells, losses = [], []
    for role, found in forms(sizes).items():
        times = medians({name: runner(form, sizes, threads) for name, form in found.items()}, budget_s)
        taken = chosen(sizes)[role]
        cells.append(
            ", ".join(
                f"{'**' * (name == taken)}{name} {1e3 * time:.2f}{'**' * (name == taken)}" for name, time in times.items()
            )
        )
        losses.append(times[taken] / min(times.values()))
    return cells, losses


def report(lines: Sequence[Sequence[str]], losses: Sequence[float], threads: int) -> str:
    """The section of RESULTS.md."""
    conditions = (
        f"Conditions: {machine()}; ONNX Runtime {onnxruntime.__version__}, {threads} threads; milliseconds, medians of turns; "
        "in bold what the rule takes."
    )
    words = (
        f"The rule takes {statistics.geometric_mean(losses):.2f} times the best on average, at most {max(losses):.2f} times."
    )
    header = ["batch, channels, size", "kernel", "y", "dx", "dw"]
    return "\n\n".join(["## Forms of convolution gradients", conditions, table(header, lines), words])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Forms of convolution gradients on ONNX Runtime.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=0.6, help="seconds of measuring for each of y, dx and dw")
    parser.add_argument("--check", action="store_true", help="do not write RESULTS.md")
    options = parser.parse_args()
    lines, losses = [], []
    for batch in _BATCHES:
        for shape in _SHAPES:
            channels, out_channels, size, kernel, stride, groups = shape
            cells, lost = measure(geometry(batch, shape), options.threads, options.budget)
            suffix = f" / {stride}" * (stride > 1) + ", depthwise" * (groups > 1)
            lines.append([f"{batch}, {channels} to {out_channels}, {size}", f"{kernel}x{kernel}{suffix}", *cells])
            losses += lost
            print(" | ".join(lines[-1]), flush=True)
    text = report(lines, losses, options.threads)
    print(text.rsplit("\n\n", 1)[-1])
    if not options.check:
        write_section("convolution-forms", text)


if __name__ == "__main__":
    main()
