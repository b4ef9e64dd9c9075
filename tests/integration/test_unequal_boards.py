"""A run places its blocks by what the inventory says of its boards."""

from __future__ import annotations

from pathlib import Path

from support.direct_host import agent_process
from support.pipelines import SHORT, invoke, summary

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle

SPEED = 0.3


def best_cut(costs: list[float]) -> dict[str, list[str]]:
    """Of all ways to give the slow board a run of blocks at either end, the one whose busier board has least to do."""
    names = [f"block{index}" for index in range(len(costs))]
    found = []
    for cut in range(1, len(costs)):
        for slow, fast in ((slice(0, cut), slice(cut, None)), (slice(cut, None), slice(0, cut))):
            busiest = max(sum(costs[slow]) / SPEED, sum(costs[fast]))
            found.append((busiest, {"slow": names[slow], "fast": names[fast]}))
    return min(found, key=lambda each: each[0])[1]


def test_a_slow_board_gets_less_from_the_first_step_on(tmp_path: Path) -> None:
    options = {"width": 32, "depth": 6}
    network = make_network("mlp", num_blocks=6, num_classes=10, input_shape=(1, 8, 8), seed=0, options=options)
    export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=16, path=tmp_path / "b")
    costs = [
        float(block.input.size_bytes + block.output.size_bytes + block.state_bytes)
        for block in open_bundle(tmp_path / "b").manifest.blocks
    ]
    with agent_process(tmp_path / "slow", name="slow") as slow, agent_process(tmp_path / "fast", name="fast") as fast:
        text = f'[[board]]\nname = "slow"\nendpoint = "{slow.endpoint}"\nspeed = {SPEED}\n'
        text += f'[[board]]\nname = "fast"\nendpoint = "{fast.endpoint}"\n'
        (tmp_path / "cluster.toml").write_text(text)
        invoke("run", tmp_path / "b", "--cluster", tmp_path / "cluster.toml", *SHORT, "--out", tmp_path / "run")
    placement = summary(tmp_path / "run")["placement"]
    assert placement == best_cut(costs)
    assert len(placement["slow"]) < len(placement["fast"])
