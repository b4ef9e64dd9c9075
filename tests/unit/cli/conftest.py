"""A finished run and its bundle, for tests of commands that look at one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_calls import TRAIN, call


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    path = tmp_path_factory.mktemp("runs") / "run"
    call(*TRAIN, "--out", path)
    return path


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    """Its bundle."""
    path = run.parent / "bundle"
    call("export", run, "--out", path)
    return path
