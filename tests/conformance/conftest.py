"""Every runtime passes the same tests. What cannot run here is listed with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import exported
from support.tiny_bundle import make_tiny_bundle

from edgebll.bundle import Bundle

_NOT_HERE = {
    "tensorrt": "needs an NVIDIA GPU, and its runtime is not part of this release",
    "c": "the portable C runtime is not part of this release",
}
_BUNDLES = {"tiny": make_tiny_bundle, "mlp": exported.mlp, "resnet": exported.resnet, "mixed": exported.mixed}


def _parameters() -> list[object]:
    absent = [pytest.param(name, marks=pytest.mark.skip(reason=why)) for name, why in _NOT_HERE.items()]
    return ["onnxruntime", "reference", *absent]


@pytest.fixture(params=_parameters())
def runtime(request: pytest.FixtureRequest) -> str:
    """Name of the runtime under test."""
    return str(request.param)


class BundleShelf:
    """Bundles by name, each made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Bundle] = {}

    def __getitem__(self, name: str) -> Bundle:
        if name not in self._made:
            self._made[name] = _BUNDLES[name](self._folder / name)
        return self._made[name]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> BundleShelf:
    """The bundles of the suite: "tiny" (hand-made), "mlp", "resnet" and "mixed" (exported)."""
    return BundleShelf(tmp_path_factory.mktemp("bundles"))
