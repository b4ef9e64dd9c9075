"""What tests of boards share: a bundle with side streams, the bits of a run of it to which nothing happened, a fake runtime."""

import pytest
from support.board_runs import run_alone
from support.fake_runtime import FakeLoader
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.bundle import Bundle
from edgebll.state import state_sha256


@pytest.fixture(scope="module")
def side_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Four blocks and side streams with lags of 0, 1 and 2."""
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=4, sides=SIDES)


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
