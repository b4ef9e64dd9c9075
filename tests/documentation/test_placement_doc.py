"""docs/how-to/place-blocks.md: its inventory is one, and its commands run as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.documents import Document
from support.pipelines import invoke
from support.tiny_bundle import make_tiny_bundle

from edgebll_firmware_host.inventory import load_cluster

PAGE = Document("docs/how-to/place-blocks.md")


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.toml").write_text("[host]\ndeadline_s = 1.0\n" + PAGE.fenced("toml")[0])
    assert load_cluster("cluster.toml").links[0].latency_s == 0.005
    make_tiny_bundle(tmp_path / "bundles" / "first", blocks=4)
    told = [invoke(*words[1:]) for words in PAGE.commands()]
    assert len(told) == 4
    assert all("limits it" in text for text in told)
    assert "raspberry-pi-5-1" in told[1]
    assert "96 boards" in told[3]
    assert "samples/s" in told[3]
