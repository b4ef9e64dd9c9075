"""How figures of an evaluation are shown."""

from __future__ import annotations

from collections.abc import Mapping

#: Metrics that are parts of a whole, shown in per cent.
SHARES = frozenset(("accuracy", "exact_match", "f1", "mean_iou", "pixel_accuracy"))


def metric_text(metrics: Mapping[str, float], joint: str = " ") -> str:
    """Figures by name, e.g. "accuracy 91.20 %, loss 0.2713".

    Args:
        metrics: by name; underscores of names are shown as spaces.
        joint: between a name and its figure.
    """
    return ", ".join(f"{name.replace('_', ' ')}{joint}{_figure(name, value)}" for name, value in metrics.items())


def _figure(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name in SHARES else f"{value:.4f}"
