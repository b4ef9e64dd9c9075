"""Pictures of a run. They need matplotlib, which is loaded when one is drawn."""

from edgebll.kernel.plots.curves import draw_curves
from edgebll.kernel.plots.timeline import draw_timeline

__all__ = ["draw_curves", "draw_timeline"]
