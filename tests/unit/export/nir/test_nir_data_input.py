"""NIRData files as what goes into a graph: spikes fall into its time steps, damaged files are refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from support.command_calls import call, sentence
from support.nir_graphs import chain, lif

DT = 1e-3


def events(rows: list[list[tuple[float, int]]], units: int, seconds: float) -> nir.EventData:
    """Samples of (time, unit), filled up as the format has it."""
    most = max(map(len, rows))
    filled = [[*row, *[(np.inf, -1)] * (most - len(row))] for row in rows]
    idx, time = (np.array([[pair[part] for pair in row] for row in filled]) for part in (1, 0))
    return nir.EventData(idx.astype(int), time.astype(float), units, seconds)


def write(path: Path, **observables: Any) -> Path:
    nir.write_data(path, nir.NIRGraphData({"input": nir.NIRNodeData(observables)}))
    return path


def run(graph: Path, data: Path, *options: object) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """What is told, and what went in (B, T, ...)."""
    out = data.with_suffix(".npz")
    told = call("nir", "run", graph, "--data", data, *map(str, options), "-o", out, "--json").stdout
    with np.load(out) as traces:
        return json.loads(told), traces["input.out"]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return chain(tmp_path / "g.nir", (3,), lif(3, tau=0.02))


def test_a_grid_in_its_own_steps_goes_in_as_it_is(graph: Path, tmp_path: Path) -> None:
    spikes = np.random.default_rng(0).random((4, 25, 3)) < 0.3
    data = write(tmp_path / "d.nir", spikes=nir.TimeGriddedData(spikes, DT))
    told, x = run(graph, data, "--dt", DT)
    assert (told["samples"], told["steps"], told["data"]) == (4, 25, f"{data}, a grid of 0.001 s")
    np.testing.assert_array_equal(x, spikes)
    _, few = run(graph, data, "--dt", DT, "--samples", 2, "--steps", 7)
    np.testing.assert_array_equal(few, spikes[:2, :7])


def test_steps_of_another_length_hold_the_same_spikes(graph: Path, tmp_path: Path) -> None:
    spikes = np.random.default_rng(1).random((2, 24, 3)) < 0.5
    data = write(tmp_path / "d.h5", spikes=nir.TimeGriddedData(spikes, DT))
    _, coarse = run(graph, data, "--dt", 4 * DT)
    np.testing.assert_array_equal(coarse, spikes.reshape(2, 6, 4, 3).sum(2))
    assert coarse.max() > 1
    _, fine = run(graph, data, "--dt", DT / 2)
    np.testing.assert_array_equal(fine[:, 1::2], spikes)  # in the middle of a step, which begins the second half
    assert not fine[:, ::2].any()


def test_times_fall_into_the_step_that_they_are_in(graph: Path, tmp_path: Path) -> None:
    rows = [[(0.0, 0), (0.0009, 1), (0.0011, 1), (0.00999, 2)], [(0.0052, 2), (0.0058, 2)]]
    told, x = run(graph, write(tmp_path / "d.nir", spikes=events(rows, 3, 0.01)), "--dt", DT)
    assert (told["steps"], x.sum()) == (10, 6)
    assert [x[0, 0, 0], x[0, 0, 1], x[0, 1, 1], x[0, 9, 2], x[1, 5, 2]] == [1, 1, 1, 1, 2]


def test_a_graph_of_no_time_needs_a_time_step_for_times_alone(tmp_path: Path) -> None:
    still = chain(tmp_path / "if.nir", (2,), nir.IF(np.ones(2), np.ones(2)))
    spikes = np.ones((1, 3, 2), bool)
    told, x = run(still, write(tmp_path / "grid.nir", spikes=nir.TimeGriddedData(spikes, 0.25)))
    assert (told["dt"], x.shape) == (None, (1, 3, 2))
    times = write(tmp_path / "times.nir", spikes=events([[(0.5, 1)]], 2, 1.0))
    assert "--dt is needed, in seconds" in sentence(call("nir", "run", still, "--data", times, code=2))


def test_what_cannot_go_in_is_refused(graph: Path, tmp_path: Path) -> None:
    spikes = nir.TimeGriddedData(np.ones((1, 4, 3), bool), DT)
    data = write(tmp_path / "d.nir", spikes=spikes)
    (tmp_path / "cut.nir").write_bytes(data.read_bytes()[:900])
    two = write(tmp_path / "two.nir", one=spikes, other=spikes)
    cases: list[tuple[Path, str, int]] = [
        (tmp_path / "cut.nir", "cannot be read as NIRData", 4),
        (graph, "cannot be read as NIRData: Root object is not NIRGraphData", 4),
        (two, "it has 2 observables, of input/one, input/other; give one with the data option node=", 4),
        (write(tmp_path / "v.nir", v=nir.TimeGriddedData(np.ones((1, 4, 3)), DT)), "input/v are numbers, not spikes", 4),
        (write(tmp_path / "out.nir", s=events([[(0.1, 7)]], 3, 1.0)), "a spike is of unit 7, but there are 3", 4),
        (
            write(tmp_path / "long.nir", s=events([[(0.1, 1)]], 3, 60.0)),
            "it lasts 60 s, 60000 steps of 0.001 s; give --steps",
            4,
        ),
        (write(tmp_path / "wide.nir", s=events([[(0.1, 1)]], 4, 1.0)), "takes values of shape 3 a time step", 4),
        (tmp_path / "gone.nir", "there is no file", 2),
    ]
    for path, told, code in cases:
        assert told in sentence(call("nir", "run", graph, "--dt", str(DT), "--data", path, code=code)), path
    refused = call("nir", "run", graph, "--dt", str(DT), "--data", data, "--data-option", "pool=2", code=2)
    assert "NIRData files have the data option node, not 'pool'" in sentence(refused)
    _, x = run(graph, two, "--dt", DT, "--data-option", "node=input/other")
    assert x.shape == (1, 4, 3)
