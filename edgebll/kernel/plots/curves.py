"""curves.png: every block's training loss and the first figure of evaluations, from a run's metrics.jsonl."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BundleError
from edgebll.kernel.plots.style import COLOURS, save_figure
from edgebll.kernel.runs.metric_text import SHARES
from edgebll.kernel.runs.metrics_file import METRICS

CURVES = "curves.png"
#: A line is smoothed over this part of the run; what it was made of stays visible behind it.
_SMOOTHED_PART = 40


def draw_curves(run_path: Path | str) -> Path:
    """Draw every block's training loss and the evaluations' first figure, e.g. accuracy; returns the picture's path.

    Raises:
        BundleError: metrics.jsonl is missing or damaged. MissingExtraError: no matplotlib. StorageError: the disk refuses.
    """
    folder = Path(run_path)
    losses, name, figures = _read_metrics(folder / METRICS)

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        _draw_losses(left, losses)
        _draw_evaluations(right, name, figures)

    return save_figure(folder / CURVES, draw, (10.0, 4.0))


Points = list[tuple[float, float]]

#: What a line of an evaluation has besides its figures.
_PLACE = ("kind", "epoch", "step", "time")


def _read_metrics(path: Path) -> tuple[dict[str, Points], str, Points]:
    """(step, loss) of every block, and the evaluations' first figure: its name, and (step, value)."""
    losses: dict[str, Points] = defaultdict(list)
    name, figures = "accuracy", []
    number = 0
    try:
        for line in path.read_text().splitlines():
            number += 1
            entry = json.loads(line)
            if entry.get("kind") == "train":
                block, step = entry["block"], entry["step"]
                if entry.get("loss") is not None:  # a block with nothing to train has none
                    losses[block].append((step, entry["loss"]))
            elif entry.get("kind") == "eval":
                name = next(key for key in entry if key not in _PLACE)
                figures.append((entry["step"], entry[name]))
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); run it again") from error
    except (ValueError, KeyError, AttributeError, TypeError, StopIteration) as error:
        raise BundleError(f"{path}, line {number} is not a line of metrics ({error!r}); run it again") from error
    return losses, name, figures


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


def _draw_evaluations(axes: Any, name: str, points: Points) -> None:
    share = name in SHARES
    shown = name.replace("_", " ")
    axes.set(title=f"Evaluation {shown}", xlabel="step", ylabel=f"{shown}, %" if share else shown)
    if not points:
        _say(axes, "not evaluated")
        return
    steps, values = zip(*sorted(points), strict=True)
    drawn = [100 * value if share else value for value in values]
    axes.plot(steps, drawn, color=COLOURS[0], marker="o", markersize=5, linewidth=1.8)
    last = f"{drawn[-1]:.1f} %" if share else f"{drawn[-1]:.3g}"
    axes.annotate(last, (steps[-1], drawn[-1]), xytext=(0, 8), textcoords="offset points", ha="right")
    low, high = min(drawn), max(drawn)
    margin = max(1.0 if share else 0.05 * abs(high) or 1.0, 0.2 * (high - low))
    axes.set_ylim(max(0.0, low - margin), min(101.0, high + margin) if share else high + margin)
    axes.set_xlim(0, steps[-1] * 1.03 or 1)


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
