"""Spikes between real agents: the bits of a run on one machine, a thirtieth of the bytes; and a board that knows no spikes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch
from support.direct_host import agent_process
from support.pipelines import SHORT, invoke, summary, write_cluster
from torch import Tensor, nn

from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle

WIDTH, BATCH = 1024, 32
#: Of activations as float32.
LEAST = 30


class Fires(nn.Module):
    """1.0 where the input is above a threshold, 0.0 elsewhere; the gradient is that of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.9).to(x.dtype) + (x - x.detach())


@pytest.fixture(scope="module")
def spiking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three blocks for digits that send few spikes to each other."""
    path = tmp_path_factory.mktemp("bundles") / "spiking"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks = [nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), Fires()), nn.Sequential(nn.Linear(WIDTH, WIDTH), Fires())]
        network = BlockNetwork([*blocks, nn.Sequential(nn.Linear(WIDTH, 10))], num_classes=10, input_shape=(1, 8, 8))
    export_bundle(network, rule=Greedy(), optimizer=SGD(lr=0.01), batch_size=BATCH, path=path)
    return path


@pytest.fixture(scope="module")
def alone(spiking: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hash of the weights where nothing is sent."""
    run = tmp_path_factory.mktemp("runs") / "alone"
    invoke("simulate", spiking, "--out", run, "--boards", 0, *SHORT)
    return str(summary(run)["state_sha256"])


def test_three_boards_have_the_same_bits_and_send_a_thirtieth(spiking: Path, alone: str, tmp_path: Path) -> None:
    invoke("simulate", spiking, "--out", tmp_path / "run", "--boards", 3, *SHORT)
    found = summary(tmp_path / "run")
    assert found["state_sha256"] == alone
    assert found["link_bytes"].keys() == {"block0", "block1"}
    for block, sent in found["link_bytes"].items():
        whole = found["link_bytes_unpacked"][block]
        tokens, rest = divmod(whole, 4 * BATCH * (WIDTH + 10))
        assert (rest, tokens >= 5) == (0, True)
        assert whole >= LEAST * sent > 0, block
    assert found["bytes_streamed_unpacked"] >= found["bytes_streamed"] > 0


#: A real agent as it was before there were capabilities: it knows neither the message, the field nor the codings.
_OLDER = """
from edgebll.kernel.wire import MESSAGE_TYPES, Capabilities, codec, tensor_parts
assert MESSAGE_TYPES.pop(23) is Capabilities
def refuse(*_):
    raise SystemExit("an older board was sent spikes")
tensor_parts._packed = refuse
from_plain = codec.from_plain
codec.from_plain = lambda cls, fields, where: refuse() if "spikes" in fields else from_plain(cls, fields, where)
from edgebll_devices.commands.main import main
main()
"""


def test_an_older_board_is_sent_floats_and_the_bits_are_the_same(spiking: Path, alone: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        agents = {name: stack.enter_context(agent_process(tmp_path / name, name=name)) for name in ("first", "last")}
        agents["older"] = stack.enter_context(agent_process(tmp_path / "older", name="older", program=_OLDER))
        endpoints = {name: agents[name].endpoint for name in ("first", "older", "last")}
        cluster = write_cluster(tmp_path / "cluster.toml", endpoints)
        invoke("run", spiking, "--out", tmp_path / "run", "--cluster", cluster, "--no-preflight", *SHORT)
    found = summary(tmp_path / "run")
    assert found["placement"] == {"first": ["block0"], "older": ["block1"], "last": ["block2"]}
    assert found["state_sha256"] == alone
    assert found["link_bytes"].keys() == {"block0"}, "an older board does not count"
    assert found["link_bytes"]["block0"] == found["link_bytes_unpacked"]["block0"] > 0
