"""The tutorial on spikes runs as it stands, and what it shows is what comes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.stories import summary, told

from edgebll.kernel.bundle import open_bundle


@pytest.mark.slow
def test_a_spiking_network_goes_to_a_chip_and_another_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = told("spiking-digits", tmp_path)
    (check, run_whole, before, after) = (
        next(text for words, text in outputs.items() if words.startswith(start))
        for start in (
            "edgebll nir export runs/boards -o digits",
            "edgebll nir run whole",
            "edgebll nir run theirs",
            "edgebll nir run learnt",
        )
    )
    boards, theirs = summary(Path("runs/boards")), summary(Path("runs/theirs"))
    assert boards["accuracy"] >= 0.9
    assert boards["link_bytes_unpacked"]["block0"] > 30 * boards["link_bytes"]["block0"]
    assert 0 < boards["operations"]["network"]["effective_acs"] < 0.25 * boards["operations"]["network"]["dense"]
    assert all(Path("runs", run, "spikes.png").stat().st_size for run in ("boards", "spikes"))
    assert re.search("SpiNNaker2 .*approximate", check)
    right = [float(re.findall(r"the right class for ([0-9.]+) %", text)[0]) for text in (run_whole, before, after)]
    assert right[0] >= 90
    assert right[1] < 30 < 75 < right[2]
    assert theirs["accuracy"] >= 0.75
    assert len(open_bundle("bundles/theirs").manifest.blocks) == 2
