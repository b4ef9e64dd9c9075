"""The time step of a graph: NIR's equations are of continuous time, and a file need not say in which steps it was trained."""

from __future__ import annotations

import numpy as np

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import WrongValue
from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.node_values import check_times
from edgebll_export.nir.simulation.simulate import TIME_STEP

#: Under this name our exports note it in the graph's metadata.
KEY = "dt"


def time_step_of(graph: SpikingGraph, dt: float | None) -> float | None:
    """The time step in seconds: what was given, or what the graph's metadata note.

    Args:
        graph: it.
        dt: what was given; None for nothing.

    Returns:
        The time step; None where nothing depends on it.

    Raises:
        ConfigError: it is needed and nowhere said, or is no time step.
        ExportError: a time constant is below it.
    """
    noted = graph.metadata.get(KEY)
    if dt is None and noted is not None:
        if np.ndim(noted) or np.asarray(noted).dtype.kind not in "fiu":
            raise ConfigError(f"{graph.place} notes the time step {noted!r}, which is no number of seconds; give --dt")
        dt = float(noted)
    if dt is None and graph.has_times:
        raise WrongValue(
            KEY,
            f"is needed, in seconds: {graph.place} has time constants, but does not say the time step that it was trained "
            "with, e.g. 1e-4 of snnTorch's exports",
        )
    if dt is not None:
        TIME_STEP.check(KEY, dt)
        check_times(graph, dt)
    return dt
