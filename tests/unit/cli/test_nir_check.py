"""`edgebll nir check` in this process."""

from __future__ import annotations

import json
import sys

import pytest
from support.command_calls import call, sentence
from support.nir_graphs import FOREIGN

LIF = FOREIGN / "lif_norse.nir"


def test_the_report_names_platforms_and_missing_simulators(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("snntorch", "norse.torch.module.lif_box"):
        monkeypatch.setitem(sys.modules, name, None)
    result = call("nir", "check", LIF, "--dt", "1e-4", "--steps", "50")
    assert "snntorch is passed over: it is not installed" in result.stderr
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if "approximate" in line or "exact" in line}
    assert rows["Norse"][:4] == ["Norse", "norse", "1.1.0", "exact"]
    assert rows["SpiNNaker2"][1:3] == ["py-spinnaker2", "exact"]
    assert rows["Nengo"][1:3] == ["nengo", "approximate"]


def test_simulators_are_told_beside_the_reference() -> None:
    pytest.importorskip("snntorch", reason="snnTorch is not installed; see `make setup`")
    told = call("nir", "check", LIF, "--dt", "1e-4", "--steps", "50", "--rate", "0.5").stdout
    assert "the reference and snntorch 1.0.0 on the same spikes" in told
    assert "first divergence" in told
    plain = json.loads(call("nir", "check", LIF, "--dt", "1e-4", "--steps", "50", "--rate", "0.5", "--json").stdout)
    (layer,) = plain["simulators"][0]["layers"]
    assert layer["spikes"] == layer["theirs"] > 3
    assert layer["first"] is None


def test_bad_input_is_one_sentence() -> None:
    assert "--dt is needed" in sentence(call("nir", "check", LIF, code=2))
