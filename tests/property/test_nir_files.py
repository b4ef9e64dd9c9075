"""NIR files with whatever in the place of a value are computed or refused by a sentence, never by a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from support.nir_graphs import chain, cuba, full, lif

from edgebll.kernel.errors import EdgebllError
from edgebll_export.nir.reading import read_graph
from edgebll_export.nir.simulation import simulate

#: In the place of a value; None takes it away.
JUNK: tuple[Any, ...] = (
    *(None, b"x", b"", b"same", b"n0", -1, 0, 10**9, 2**62, True, np.nan, np.array(1e300), np.complex64(1j)),
    *(np.array([]), np.array([1.5]), np.array([np.nan, 1]), np.array([1, 2, 3]), np.array([-5, 3]), np.zeros((0, 3))),
    *(np.ones((2, 2, 2, 2, 2)), np.array([b"n0", b"n1"]), np.array([[b"a", b"b"]])),
)
DT = 1e-3


def whole(path: Path) -> Path:
    """A graph with a convolution, a pooling, neurons, a Delay and a sub-graph with a way back."""
    inner = nir.NIRGraph(
        {"i": nir.Input(np.array([3])), "n": cuba(3), "w": nir.Linear(-np.eye(3)), "o": nir.Output(np.array([3]))},
        [("i", "n"), ("n", "w"), ("w", "n"), ("n", "o")],
        type_check=False,
    )
    conv = nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, 1, 1, 2, np.ones(2))
    pool = nir.SumPool2d(*(np.array(value) for value in ((2, 2), (2, 2), (0, 0))))
    flat = nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1)
    rest = (nir.Linear(np.ones((3, 8))), nir.Delay(full(3, 2 * DT)), inner)
    return chain(path, (2, 4, 4), conv, lif((2, 4, 4)), pool, flat, *rest, output=(3,))


@pytest.mark.parametrize("seed", range(4))
def test_junk_in_a_file_is_computed_or_refused(seed: int, tmp_path: Path) -> None:
    source, target = whole(tmp_path / "whole.nir"), tmp_path / "junk.nir"
    names: list[str] = []
    with h5py.File(source) as file:
        file.visititems(lambda name, _: names.append(name))
    rng, refused = np.random.default_rng(seed), 0
    for _ in range(25):
        shutil.copy(source, target)
        name, junk = names[rng.integers(len(names))], JUNK[rng.integers(len(JUNK))]
        with h5py.File(target, "r+") as file:
            del file[name]
            if junk is not None:
                file[name] = junk
        sentence = refusal(target)
        refused += bool(sentence)
        assert "\n" not in sentence, (name, junk)
    assert refused > 10


def refusal(path: Path) -> str:
    """Why a file is not computed; empty where it is."""
    try:
        graph = read_graph(path)
        simulate(graph, np.ones((1, 2, *graph.input_shape)), DT)
    except EdgebllError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_files_that_are_cut_off_are_refused(share: float, tmp_path: Path) -> None:
    content = whole(tmp_path / "whole.nir").read_bytes()
    (tmp_path / "cut.nir").write_bytes(content[: int(share * len(content))])
    with pytest.raises(EdgebllError):
        read_graph(tmp_path / "cut.nir")
