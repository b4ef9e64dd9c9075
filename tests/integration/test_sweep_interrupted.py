"""Ctrl-C on a sweep ends all its processes in order, and its runs go on to the weights of undisturbed ones."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support.killed_sweeps import check_like_undisturbed, start_sweep


@pytest.mark.slow
def test_ctrl_c_ends_in_order_and_loses_nothing(tmp_path: Path) -> None:
    with start_sweep(tmp_path) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "epoch 2," in line:
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and all its processes
                break
        rest = process.stderr.read()  # its end: no process of the sweep is left that could write there
    assert process.returncode == 130, rest
    assert rest.splitlines()[-1] == "edgebll: interrupted"
    assert "Traceback" not in "".join(lines) + rest
    assert (tmp_path / "a" / "RESULTS.md").exists()
    assert any("goes on at step" in line for line in check_like_undisturbed(tmp_path))
