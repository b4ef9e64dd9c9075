"""`edgebll nir run` in this process: what it prints and writes, and how it refuses bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.command_calls import call, sentence
from support.nir_graphs import FOREIGN, chain, lif, recorded

LIF = FOREIGN / "lif_norse.nir"


def test_a_recorded_input_gives_the_recorded_spikes(tmp_path: Path) -> None:
    rows = recorded("norse")
    np.savetxt(tmp_path / "in.csv", rows, delimiter=",")
    out = tmp_path / "new" / "traces.npz"
    told = call("nir", "run", LIF, "--dt", "1e-4", "--data", tmp_path / "in.csv", "--columns", "1", "-o", out, "--json").stdout
    assert json.loads(told)["layers"] == [
        {
            "node": "1",
            "kind": "LIF",
            "shape": "1",
            "spikes": 4,
            "rate": 0.004,
            "first": 460,
            "highest": pytest.approx(rows[:, 1].max(), abs=1e-6),
        }
    ]
    with np.load(out) as traces:
        np.testing.assert_array_equal(traces["1.out"][0, :, 0], rows[:, 2])
        np.testing.assert_allclose(traces["1.v"][0, :, 0], rows[:, 1], rtol=0, atol=1e-6)
        assert set(traces) == {"input.out", "1.out", "output.out", "1.v"}


def test_the_table_tells_each_layer_and_what_is_late() -> None:
    result = call("nir", "run", FOREIGN / "braille_noDelay_bias_zero.nir", "--dt", "1e-4", "--steps", "30", "--seed", "4")
    assert "1 sample of 30 time steps of 0.0001 s, euler; random spikes at rate 0.1, seed 4" in " ".join(result.stdout.split())
    assert "lif1.lif   CubaLIF   38" in result.stdout
    assert "what goes from lif1.lif to lif1.w_rec arrives one time step later" in result.stderr


def test_labels_give_an_accuracy_and_flat_or_still_samples_are_taken(tmp_path: Path) -> None:
    graph = chain(tmp_path / "g.nir", (3,), lif(3, tau=0.01))
    x = np.zeros((4, 50, 3))
    x[np.arange(4), :, [0, 1, 2, 2]] = 3
    np.savez(tmp_path / "d.npz", x=x, y=np.array([0, 1, 2, 0]))
    told = json.loads(call("nir", "run", graph, "--dt", "1e-3", "--data", tmp_path / "d.npz", "--json").stdout)
    assert (told["samples"], told["steps"], told["accuracy"]) == (4, 50, 0.75)
    np.savez(tmp_path / "more.npz", x=x, y=np.array([0, 1, 2, 3]))
    refused = call("nir", "run", graph, "--dt", "1e-3", "--data", tmp_path / "more.npz", code=4)
    assert "has labels up to 3, but" in sentence(refused)
    pictures = chain(tmp_path / "p.nir", (1, 8, 8), lif((1, 8, 8)))
    told = json.loads(call("nir", "run", pictures, "--dt", "1e-3", "--data", "digits", "--samples", "3", "--json").stdout)
    assert (told["samples"], told["steps"], told["accuracy"]) == (3, 100, None)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "--dt is needed, in seconds"),
        (("--dt", "1e-2"), 5, "tau of node 1 (LIF) is 0.0025 s, below the time step of 0.01 s"),
        (("--dt", "nan"), 2, "--dt must be a number of seconds, above 0"),
        (("--dt", "1e-4", "--rate", "2"), 2, "--rate must be a number of spikes a neuron and time step"),
        (("--dt", "1e-4", "--steps", "0"), 2, "--steps must be"),
        (("--dt", "1e-4", "--data", "gone.npy"), 2, "there is no file gone.npy"),
        (("--dt", "1e-4", "--data", "nonsense"), 2, "unknown data set 'nonsense'"),
        (("--dt", "1e-4", "--data", "digits"), 4, "digits has shape 16x1x8x8; "),
        (("--dt", "1e-4", "--integrator", "midpoint"), 2, "--integrator must be one of euler, exact"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in sentence(call("nir", "run", LIF, *arguments, code=code))


def test_damaged_arrays_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "two.npy").write_bytes(b"xy")
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    np.savez(tmp_path / "other.npz", z=np.zeros(3))
    np.save(tmp_path / "wide.npy", np.zeros((2, 5)))
    cases = {
        "cut.npy": "cannot be read",
        "two.npy": "cannot be read as numbers; give an array",
        "words.csv": "cannot be read",
        "other.npz": "has no array x",
        "wide.npy": "has shape 2x5",
    }
    for name, said in cases.items():
        assert said in sentence(call("nir", "run", LIF, "--dt", "1e-4", "--data", tmp_path / name, code=4))
