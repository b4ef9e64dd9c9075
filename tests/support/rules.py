"""What every rule must do with every network: export, equal the eager step, and give the same bits on any boards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebll.bundle import open_bundle
from edgebll.learning import RULES, SGD, make_rule
from edgebll.networks import make_network
from edgebll_export import export_bundle, verify_bundle
from support.direct_host import agent_process
from support.pipelines import invoke, summary, write_cluster

#: Rules, with options where one has variants that differ in their graphs.
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in RULES},
    "greedy, conv": ("greedy", {"classifier": "conv"}),
    "infopro, contrast": ("infopro", {"loss": "contrast"}),
}
#: Four training steps of 16 samples.
_STEPS = ("--data", "digits", "--limit", "64")


@contextlib.contextmanager
def two_boards(folder: Path) -> Iterator[Path]:
    """The inventory of two agents that run for the length of a `with`."""
    with agent_process(folder / "a", name="a") as a, agent_process(folder / "b", name="b") as b:
        yield write_cluster(folder / "cluster.toml", {"a": a.endpoint, "b": b.endpoint})


def check_rule(variant: str, network: str, blocks: int, cluster: Path, folder: Path) -> None:
    """Export, verify over ten steps, run one block after another and over the two boards of `cluster`."""
    name, options = VARIANTS[variant]
    rule = make_rule(name, **options)
    blocks = 1 if rule.one_block else blocks
    made = make_network(network, num_blocks=blocks, num_classes=10, input_shape=(1, 8, 8), seed=0)
    manifest = export_bundle(made, rule=rule, optimizer=SGD(), batch_size=16, path=folder / "bundle")
    assert [row for row in verify_bundle(folder / "bundle", steps=10, tolerance=1e-4) if row.failed] == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgebll_firmware_host.result._draw", lambda run: [])  # half of a short run is drawing its pictures
        invoke("simulate", folder / "bundle", "--boards", 0, "--out", folder / "alone", *_STEPS)
        invoke("run", folder / "bundle", "--cluster", cluster, "--out", folder / "boards", *_STEPS)
    alone, boards = (summary(folder / run) for run in ("alone", "boards"))
    assert alone["state_sha256"] == boards["state_sha256"]
    assert len(boards["placement"]) == min(2, blocks)
    before, after = open_bundle(folder / "bundle"), open_bundle(folder / "boards" / "bundle")
    for block in manifest.blocks:
        old, new = before.state(block.name), after.state(block.name)
        assert any((new[tensor] != value).any() for tensor, value in old.items() if tensor.startswith("net."))
