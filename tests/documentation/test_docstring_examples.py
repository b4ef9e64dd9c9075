"""The examples in the docstrings of the public names run, one after another, as a reader would try them."""

from __future__ import annotations

import doctest
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pipelines import write_cluster

import edgebll
from edgebll_firmware_host.engines.local_processes import LocalProcesses

#: What later examples need of earlier ones comes first.
ORDER = ("train", "export", "verify", "simulate", "run", "evaluate", "open_bundle", "load_block")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with cluster.toml, on whose two boards agents are running."""
    path, before = tmp_path_factory.mktemp("examples"), Path.cwd()
    with LocalProcesses(2, path / "agents") as cluster:
        write_cluster(path / "cluster.toml", {board.name: board.endpoint for board in cluster.boards})
        os.chdir(path)
        try:
            yield path
        finally:
            os.chdir(before)


def test_every_example_gives_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = [name for name in edgebll.__all__ if name not in ORDER]
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    tried = 0
    for name in (*ORDER, *others):
        for test in finder.find(getattr(edgebll, name), f"edgebll.{name}", globs={}):
            runner.run(test)
            tried += bool(test.examples)
    assert not runner.failures, capsys.readouterr().out
    assert tried == len(edgebll.__all__) - 2, "all but an error and an event have one"
