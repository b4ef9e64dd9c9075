"""One run of a table of costs: peak memory and time of the training steps of every block, measured in processes of their own.

The blocks of one network are measured one after another, in two ways: the eager step on PyTorch, as the trainer runs it, and
the exported step on ONNX Runtime, as a board does, in a process without torch. Where PyTorch has a GPU, a third one counts its
allocator's peak there.

On a processor the peak is how far the resident set rises above where it stood before the block's state was made, over all
steps; glibc is told to give freed memory back at once, so that a peak is what was alive.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.support.atomic_files import write_json
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll.learning.reproduce.cells import Cell
from edgebll.learning.reproduce.machine import machine
from edgebll.learning.reproduce.measured_model import MeasuredModel
from edgebll.learning.reproduce.one_run import DONE, OPEN, SKIPPED
from edgebll.learning.training.config import HOW
from edgebll.learning.training.gpu_info import describe_gpu

_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
#: Fields of TrainConfig that change no cost.
_NOT_MEASURED = ("threads", "checkpoint_steps", "evaluate_epochs", *HOW)
#: Longest time one measuring process may take; the step of a whole ResNet-110 at batch 512 takes 10 s a core.
LIMIT_S = 1800.0


def measure_cell(cell: Cell, runs: Path, say: Callable[[str], None], data_dir: Path | None = None) -> str:
    """Measure a cell, unless that has been done.

    Args:
        cell: what to measure.
        runs: where its figures go.
        say: told what is measured.
        data_dir: folder with the data sets' files, which networks of one's own are measured on; by default found.

    Returns:
        DONE or SKIPPED.

    Raises:
        ConfigError: the network cannot be made, or does not fit its samples. DataError: the data set is missing.
        EdgebllError: a measuring process failed.
    """
    state = measured_state(cell, runs)
    if state != OPEN or cell.config is None:
        return state
    say(f"{cell.title}: measuring")
    with tempfile.TemporaryDirectory() as folder:
        MeasuredModel.of(cell.config, data_dir).write(Path(folder))
        found = {"torch": _worker("torch", folder)}
        if found["torch"].pop("cuda"):
            found["cuda"] = _worker("cuda", folder)
        _worker("export", folder)
        found["onnxruntime"] = _worker("onnxruntime", folder)
    runs.mkdir(parents=True, exist_ok=True)
    gpu = describe_gpu() if "cuda" in found else ""
    write_json(_file(cell, runs), {"config": to_plain(cell.config), "machine": machine(gpu), **found})
    return DONE


def measured_state(cell: Cell, runs: Path) -> str:
    """DONE, SKIPPED or OPEN; what was measured by another recipe is measured again."""
    if cell.config is None:
        return SKIPPED
    return DONE if _measured(cell, runs) else OPEN


def measured_outcome(cell: Cell, runs: Path) -> dict[str, Any]:
    """What was measured: for each runtime the largest block's peak, and the slowest block's and all blocks' seconds a step."""
    state = measured_state(cell, runs)
    if state != DONE:
        return {"state": state, "reason": cell.reason}
    document = _measured(cell, runs)
    runtimes: dict[str, Any] = {
        name: {
            "peak_bytes": max(document[name]["peak_bytes"]),
            "slowest_seconds": max(document[name]["seconds"]),
            "all_seconds": sum(document[name]["seconds"]),
        }
        for name in ("torch", "onnxruntime", "cuda")
        if name in document
    }
    return {"state": state, "machine": document["machine"], **runtimes}


def _measured(cell: Cell, runs: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(_file(cell, runs).read_bytes())
    except (OSError, ValueError):
        return {}
    recorded, wanted = document.get("config", {}), json.loads(json.dumps(to_plain(cell.config)))
    same = all(recorded.get(name) == value for name, value in wanted.items() if name not in _NOT_MEASURED)
    return document if same else {}


def _file(cell: Cell, runs: Path) -> Path:
    return runs / f"{cell.folder}.json"


def _worker(contender: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "edgebll_export.step_cost", contender, folder]
    environment = {**os.environ, **_MALLOC, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=LIMIT_S, text=True)
    except subprocess.TimeoutExpired as error:
        raise EdgebllError(
            f"measuring on {contender} took more than {LIMIT_S:g} s; measure fewer blocks or a smaller batch"
        ) from error
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()[-1:]), "no message; out of memory?")
        raise EdgebllError(f"measuring on {contender} failed ({reason}); free some memory or use --scale small")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
