"""A gradient that is wrong by 1 % is found, by `edgebll verify` and by a board; sound graphs agree on every optimiser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.networks import small_network
from support.planted import of_parameter, plant
from support.slow import slow_after
from support.zoo_zero_gradients import ZERO_GRADIENTS, bottleneck, norm_chain

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import SGD, Adam, AdamW, Optimizer, make_rule
from edgebll.learning.networks import NETWORKS, BlockNetwork
from edgebll_devices.runtimes.golden_replay import GoldenRow, replay
from edgebll_export import VerifyRow, export_bundle, verify_bundle

_STEPS = 3
_SGD = SGD(lr=0.05, momentum=0.9)
#: The name of a network, how it is made, how it learns. The larger ones: tests/soak/planted_errors.py.
_MODELS: list[tuple[str, Callable[[], BlockNetwork], str, Optimizer]] = [
    ("bottleneck", bottleneck, "bll", _SGD),
    ("norm_chain", norm_chain, "greedy", _SGD),
    ("norm_chain", norm_chain, "bll", AdamW(lr=0.01)),
    ("mlp", lambda: small_network("mlp", num_blocks=2), "bll", Adam()),
    ("resnet8", lambda: small_network("resnet8", num_blocks=2), "bll", _SGD),
    ("transformer", lambda: small_network("transformer", num_blocks=3), "bll", _SGD),
    ("spiking-mlp", lambda: small_network("spiking-mlp", num_blocks=3), "bll", _SGD),
]


def _host(path: Path, network: BlockNetwork) -> list[VerifyRow]:
    return verify_bundle(path, steps=_STEPS, network=network)


def _board(path: Path) -> list[tuple[str, GoldenRow]]:
    bundle = open_bundle(path)
    return [(block.name, row) for block in bundle.manifest.blocks for row in replay(bundle, block.name, "onnxruntime")]


@pytest.mark.parametrize(
    ("name", "make", "rule", "optimizer"),
    slow_after(2, _MODELS, lambda name, _, __, by: name == "transformer" or (name, by) == ("norm_chain", AdamW(lr=0.01))),
    ids=[f"{name}-{type(by).__name__}" for name, _, _, by in _MODELS],
)
def test_a_gradient_wrong_by_one_percent_is_found(
    name: str, make: Callable[[], BlockNetwork], rule: str, optimizer: Optimizer, tmp_path: Path
) -> None:
    network, sound, planted = make(), tmp_path / "sound", tmp_path / "planted"
    export_bundle(network, rule=make_rule(rule), optimizer=optimizer, batch_size=8 if name in NETWORKS else 16, path=sound)
    assert [row for row in _host(sound, network) if row.failed] == []
    assert [row for row in _board(sound) if row[1].failed] == []
    parameters = plant(sound, planted, network, rule, optimizer, 1.01) - ZERO_GRADIENTS.get(name, set())
    by_host = {f"{row.block}/{of_parameter(row.tensor.removesuffix('.next'))}" for row in _host(planted, network) if row.failed}
    by_board = {f"{block}/{of_parameter(row.tensor.split('/')[-1])}" for block, row in _board(planted) if row.failed}
    assert parameters - by_host == set()
    assert parameters - by_board == set()


@pytest.mark.parametrize("precision", slow_after(1, ["mixed", "float32"]))
@pytest.mark.parametrize(
    "optimizer", slow_after(1, [Adam(), SGD(lr=0.1), AdamW(lr=0.01)]), ids=lambda optimizer: optimizer.name
)
def test_steps_along_rounding_are_no_errors(optimizer: Optimizer, precision: str, tmp_path: Path) -> None:
    """Adam takes a whole step along a gradient that is nothing but rounding, to either side."""
    export_bundle(
        norm_chain(), rule=make_rule("bll"), optimizer=optimizer, batch_size=16, path=tmp_path / "b", precision=precision
    )
    allowed = {name.removeprefix("block0/") for name in ZERO_GRADIENTS["norm_chain"]} | {"net.3.running_mean"}
    for runtime in ("onnxruntime", "reference"):
        rows = replay(open_bundle(tmp_path / "b"), "block0", runtime)
        assert [row for row in rows if row.failed] == []
        zeros = {row.tensor.split("/")[-1] for row in rows if row.by_rounding and row.max_rel_error > 0.1}
        assert {of_parameter(name) for name in zeros} <= allowed
        assert zeros or optimizer.name == "sgd"  # which adds its weight decay to them
