"""Pictures of a run: curves.png from metrics.jsonl, timeline.png from timeline.json. Needs matplotlib (extra "plot")."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgebll.errors import BundleError
from edgebll.extras import import_extra
from edgebll.files import write_atomic
from edgebll.runfolder import METRICS

CURVES, TIMELINE_PICTURE = "curves.png", "timeline.png"
#: Colours of blocks, dark enough on white and different to colour-blind eyes (after Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#332288")
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "axes.labelcolor": "#333333",
    "legend.frameon": False,
}
_DPI = 160
#: A line is smoothed over this part of the run; what it was made of stays visible behind it.
_SMOOTHED_PART = 40


def draw_curves(run_path: Path | str) -> Path:
    """Draw every block's training loss and the evaluation accuracy of a run; returns the picture's path.

    Raises:
        BundleError: metrics.jsonl is missing or damaged. MissingExtraError: no matplotlib. StorageError: the disk refuses.
    """
    folder = Path(run_path)
    losses, accuracy = _read_metrics(folder / METRICS)

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        _draw_losses(left, losses)
        _draw_accuracy(right, accuracy)

    return save_figure(folder / CURVES, draw, (10.0, 4.0))


def save_figure(path: Path, draw: Callable[[Any], None], size_inches: tuple[float, float]) -> Path:
    """Let `draw` fill a matplotlib figure and write it as PNG, atomically; no display is needed and no global state touched."""
    matplotlib = import_extra("matplotlib", "plot", "drawing pictures of a run")
    backend = import_extra("matplotlib.backends.backend_agg", "plot", "drawing pictures of a run")
    figures = import_extra("matplotlib.figure", "plot", "drawing pictures of a run")
    with matplotlib.rc_context(STYLE):
        figure = figures.Figure(figsize=size_inches, layout="constrained", facecolor="white")
        backend.FigureCanvasAgg(figure)
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=_DPI)
    write_atomic(path, stream.getvalue())
    return path


Points = list[tuple[float, float]]


def _read_metrics(path: Path) -> tuple[dict[str, Points], Points]:
    """(step, loss) of every block, and (step, accuracy)."""
    losses: dict[str, Points] = defaultdict(list)
    accuracy: Points = []
    number = 0
    try:
        for line in path.read_text().splitlines():
            number += 1
            entry = json.loads(line)
            if entry.get("kind") == "train" and entry["loss"] is not None:
                losses[entry["block"]].append((entry["step"], entry["loss"]))
            elif entry.get("kind") == "eval":
                accuracy.append((entry["step"], entry["accuracy"]))
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); run it again") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BundleError(f"{path}, line {number} is not a line of metrics ({error!r}); run it again") from error
    return losses, accuracy


def _draw_losses(axes: Any, losses: Mapping[str, Points]) -> None:
    axes.set(title="Training loss of every block", xlabel="step", ylabel="local loss")
    for index, (block, points) in enumerate(losses.items()):
        steps, values = zip(*sorted(points), strict=True)
        colour = COLOURS[index % len(COLOURS)]
        window = max(1, len(values) // _SMOOTHED_PART)
        if window > 1:
            axes.plot(steps, values, color=colour, alpha=0.18, linewidth=0.6)
        axes.plot(steps, _smooth(values, window), color=colour, linewidth=1.8, label=block)
    if losses:
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.legend(loc="upper right", ncols=1 if len(losses) <= 6 else 2)
    else:
        _say(axes, "no training steps")


def _draw_accuracy(axes: Any, points: Points) -> None:
    axes.set(title="Evaluation accuracy", xlabel="step", ylabel="accuracy, %")
    if not points:
        _say(axes, "not evaluated")
        return
    steps, values = zip(*sorted(points), strict=True)
    percent = [100 * value for value in values]
    axes.plot(steps, percent, color=COLOURS[0], marker="o", markersize=5, linewidth=1.8)
    best = max(range(len(percent)), key=percent.__getitem__)
    axes.annotate(f"{percent[-1]:.1f} %", (steps[-1], percent[-1]), xytext=(0, 8), textcoords="offset points", ha="right")
    low, high = min(percent), max(percent)
    margin = max(1.0, 0.2 * (high - low))
    axes.set_ylim(max(0.0, low - margin), min(101.0, high + margin))
    axes.set_xlim(0, max(steps[best], steps[-1]) * 1.03 or 1)


def _smooth(values: tuple[float, ...], window: int) -> list[float]:
    """Moving average over the last `window` values (fewer at the start), so that no value looks into the future."""
    result, total = [], 0.0
    for index, value in enumerate(values):
        total += value
        if index >= window:
            total -= values[index - window]
        result.append(total / min(window, index + 1))
    return result


def _say(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#888888")


def draw_timeline(run_path: Path | str) -> Path:
    """Draw which board worked on which batch when; see `edgebll.timeline_plot`."""
    from edgebll.timeline_plot import draw_timeline as draw

    return draw(run_path)
