"""docs/how-to/predict-a-run.md: its commands run as they stand, and docs/explanation/virtual-time.md has the code's numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.documents import Document
from support.pipelines import invoke
from support.tiny_bundle import make_tiny_bundle

from edgebll_firmware_host.simulation import described_cluster as assumed
from edgebll_firmware_host.simulation.virtual_cluster import SEGMENT_BYTES, TAIL_S

PAGE = Document("docs/how-to/predict-a-run.md")
EXPLAINED = " ".join(Document("docs/explanation/virtual-time.md").text.split())


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.toml").write_text(PAGE.fenced("toml")[0])
    make_tiny_bundle(tmp_path / "bundles" / "first", blocks=4)
    told = [invoke(*words[1:]) for words in PAGE.commands()]
    assert len(told) == 5
    assert all("estimated: " in text for text in told)
    assert (tmp_path / "virtual" / "two" / "timeline.png").stat().st_size > 0
    assert "996 boards without blocks" in told[1]
    assert "1 failure:" in told[2]
    assert "over seeds, seconds" in told[4]


@pytest.mark.parametrize(
    "phrase",
    [
        f"{1e3 * assumed.MESSAGES.seconds:g} ms of processor a message",
        f"{1e9 * assumed.MESSAGES.seconds_per_byte:g} ns a byte",
        f"{1e9 * assumed.COPY_S:g} ns to copy a byte of state",
        f"{assumed.LOAD_S:g} s to load a block",
        f"{1e3 * assumed.HOST.token_s:g} ms for the host to make a token",
        f"{1e3 * assumed.HOST.report_s:g} ms for a report",
        f"{(assumed.HOST.disk_bytes_per_s or 0) / 1e6:g} MB/s for snapshots",
        f"segments of {SEGMENT_BYTES:,} bytes",
        f"{1e3 * TAIL_S:g} ms more",
        "A forward pass takes a third of a step" if assumed.EVAL_SHARE == 1 / 3 else "",
    ],
)
def test_its_assumptions_are_those_of_the_code(phrase: str) -> None:
    assert phrase
    assert phrase in EXPLAINED


def test_the_links_it_names_are_those_there_are() -> None:
    named = re.search(r"`--link` is (.*?), or a speed", " ".join(PAGE.text.split()))
    assert named is not None
    assert re.findall(r"`([a-z-]+)`", named[1]) == list(assumed.NETWORKS)
