"""What every rule must do with every network: export, equal the eager step, and give the same bits on any boards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
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
    "bll, chained": ("bll", {"feedback": "chain"}),
    "infopro, contrast": ("infopro", {"loss": "contrast"}),
}
#: Four training steps of 16 samples.
_STEPS = ("--data", "digits", "--limit", "64")


@contextlib.contextmanager
def agents(folder: Path) -> Iterator[dict[int, Path]]:
    """Inventories of two and of four agents, which run for the length of a `with`, by their number."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(agent_process(folder / name, name=name)) for name in "abcd"]
        endpoints = {agent.name: agent.endpoint for agent in started}
        yield {
            number: write_cluster(folder / f"{number}.toml", dict(list(endpoints.items())[:number]), f"window = {window}")
            for number, window in ((2, 8), (4, 3))
        }


def check_rule(variant: str, network: str, clusters: Mapping[int, Path], folder: Path) -> None:
    """Export four blocks, verify over ten steps, run one block after another and over the boards of each inventory."""
    name, options = VARIANTS[variant]
    rule = make_rule(name, **options)
    blocks = 1 if rule.one_block else 4
    made = make_network(network, num_blocks=blocks, num_classes=10, input_shape=(1, 8, 8), seed=0)
    manifest = export_bundle(made, rule=rule, optimizer=SGD(), batch_size=16, path=folder / "bundle")
    assert [row for row in verify_bundle(folder / "bundle", steps=10, tolerance=1e-4) if row.failed] == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgebll_firmware_host.result._draw", lambda run: [])  # half of a short run is drawing its pictures
        invoke("simulate", folder / "bundle", "--boards", 0, "--out", folder / "alone", *_STEPS)
        for number, cluster in clusters.items():
            run = folder / f"{number} boards"
            invoke("run", folder / "bundle", "--cluster", cluster, "--out", run, *_STEPS)
            assert summary(run)["state_sha256"] == summary(folder / "alone")["state_sha256"]
            assert len(summary(run)["placement"]) == min(number, blocks)
    before, after = open_bundle(folder / "bundle"), open_bundle(run / "bundle")
    for block in manifest.blocks:
        old, new = before.state(block.name), after.state(block.name)
        assert any((new[tensor] != value).any() for tensor, value in old.items() if tensor.startswith("net."))
