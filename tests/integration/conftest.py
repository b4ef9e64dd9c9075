"""What tests of boards share: bundles, the bits of a run to which nothing happened, a fake runtime."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.agent_inside import running
from support.board_runs import run_alone
from support.fake_runtime import FakeLoader
from support.shared_bundles import shared_bundle
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import state_sha256
from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import make_network
from edgebll_devices.agent.agent import Agent
from edgebll_export import export_bundle


@pytest.fixture(scope="module")
def dense_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dense blocks for digits."""
    path = tmp_path_factory.mktemp("bundles") / "mlp"
    shutil.copytree(shared_bundle("dense", _export_dense).path, path)
    return path


def _export_dense(path: Path) -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=16, path=path)


@pytest.fixture(scope="module")
def side_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Four blocks and side streams with lags of 0, 1 and 2."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=4, sides=SIDES)


@pytest.fixture(scope="module")
def two_blocks(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two blocks of a few numbers."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "two", blocks=2)


@pytest.fixture(scope="module")
def undisturbed(side_bundle: Bundle, request: pytest.FixtureRequest) -> str:
    """The hash of the final weights of the tokens `KINDS` of the module."""
    return state_sha256(run_alone(side_bundle, request.module.KINDS))


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> FakeLoader:
    """Blocks are loaded by it."""
    loader = FakeLoader()
    loader.install(monkeypatch)
    return loader


@pytest.fixture
def agent(tmp_path: Path, loader: FakeLoader) -> Iterator[Agent]:
    """An agent in this process, whose runtime is `loader`'s."""
    with running(tmp_path) as agent:
        yield agent
