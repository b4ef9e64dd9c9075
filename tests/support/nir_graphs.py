"""NIR graphs for tests, written with NIR's own package, and those that others wrote."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np

from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.reading import read_graph

FOREIGN = Path(__file__).parents[1] / "data" / "nir"
#: Name -> time step in seconds that it was made for.
FOREIGN_GRAPHS = {"lif_norse": 1e-4, "cnn_sinabs": 1e-3, "braille_noDelay_bias_zero": 1e-4}


def recorded(tool: str) -> np.ndarray:
    """What a tool recorded of lif_norse.nir: input spike, membrane and output spike (1000, 3)."""
    return np.loadtxt(FOREIGN / f"lif_{tool}.csv.gz", delimiter=",")


def foreign(name: str) -> SpikingGraph:
    return read_graph(FOREIGN / f"{name}.nir")


def write(path: Path, nodes: dict[str, Any], edges: list[tuple[str, str]], metadata: dict[str, Any] | None = None) -> Path:
    """A file with whatever graph: nothing is checked on the way."""
    nir.write(path, nir.NIRGraph(nodes, edges, metadata or {}, type_check=False))
    return path


def chain(path: Path, shape: tuple[int, ...], *nodes: Any, output: tuple[int, ...] | None = None) -> Path:
    """Nodes one after another between an Input and an Output, called n0, n1, ..."""
    names = [f"n{index}" for index in range(len(nodes))]
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array(output or shape))}
    way = ["input", *names, "output"]
    return write(path, {**ends, **dict(zip(names, nodes, strict=True))}, list(pairwise(way)))


def full(shape: tuple[int, ...] | int, value: float) -> np.ndarray:
    return np.full(shape, value)


def lif(count: int | tuple[int, ...], tau: float = 0.02, **values: float) -> nir.LIF:
    given = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **values}
    return nir.LIF(tau=full(count, tau), **{key: full(count, value) for key, value in given.items()})


def cuba(count: int, tau_syn: float = 0.01, tau_mem: float = 0.02, **values: float) -> nir.CubaLIF:
    given = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "w_in": 1.0, **values}
    numbers = {key: full(count, value) for key, value in given.items()}
    return nir.CubaLIF(tau_syn=full(count, tau_syn), tau_mem=full(count, tau_mem), **numbers)
