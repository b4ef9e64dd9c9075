"""One process of bench/peer.py: trains with onnxruntime-training ("theirs") or with edgebll's board runtime ("ours").

    peer_worker.py prepare MODEL FOLDER OPTIMIZER      write the training artifacts of a forward model with its weights
    peer_worker.py train theirs|ours FOLDER            for every line N on stdin, train N steps and print seconds a step;
                                                       at the end, the highest resident set in bytes

Runs in virtual environments of their own: neither has torch, and edgebll's side needs only what a board needs.
"""

from __future__ import annotations

import json
import re
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

#: The learning rate of the first steps, whose losses must agree, and of those that are timed: too small to fit the batch, as
#: gradients of nothing are not what anybody trains with.
LR, STILL_LR = 1e-3, 1e-7
_FIRST = 3


def skip_torch() -> None:
    """Let `onnxruntime.training` be imported without its __init__, which imports torch."""
    package = types.ModuleType("onnxruntime.training")
    package.__path__ = [str(Path(onnxruntime.__file__).parent / "training")]
    sys.modules["onnxruntime.training"] = package


def prepare(model: Path, folder: Path, optimizer: str) -> None:
    """Their artifacts: forward, gradient, loss and optimiser graphs, and a checkpoint."""
    skip_torch()
    import onnx
    from onnxruntime.training import artifacts

    forward = onnx.load(model)
    folder.mkdir(parents=True)
    artifacts.generate_artifacts(
        forward,
        requires_grad=json.loads((model.parent / "trained.json").read_text("utf-8")),
        loss=artifacts.LossType.CrossEntropyLoss,
        optimizer=getattr(artifacts.OptimType, optimizer),
        artifact_directory=str(folder),
    )


def batch_of(folder: Path) -> tuple[Any, Any]:
    """X and labels that both sides train on."""
    stored = np.load(folder / "batch.npz")
    return stored["x"], stored["labels"]


def theirs(folder: Path) -> Callable[[float], float]:
    """A training step of onnxruntime-training; takes the learning rate, returns the loss."""
    skip_torch()
    from onnxruntime.training.api import CheckpointState, Module, Optimizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    state = CheckpointState.load_checkpoint(str(folder / "checkpoint"))
    paths = [str(folder / f"{name}_model.onnx") for name in ("training", "eval", "optimizer")]
    module = Module(paths[0], state, paths[1], device="cpu", session_options=options)
    optimizer = Optimizer(paths[2], module)
    module.train()
    x, labels = batch_of(folder)

    def step(lr: float) -> float:
        loss = module(x, labels)
        optimizer.set_learning_rate(lr)
        optimizer.step()
        module.lazy_reset_grad()
        return float(loss)

    return step


def ours(folder: Path) -> Callable[[float], float]:
    """A training step of an exported bundle; takes the learning rate, returns the loss."""
    from edgebll.kernel.bundle import open_bundle
    from edgebll_devices.runtimes import load_block

    block = load_block("onnxruntime", open_bundle(folder / "bundle"), "block0", threads=1)
    x, labels = batch_of(folder)
    y = np.eye(10, dtype=np.float32)[labels]
    return lambda lr: block.train(x, y, {"lr": lr})[1]["loss"]


def train(side: str, folder: Path) -> None:
    """Answer lines with seconds a step until the input ends."""
    step = {"theirs": theirs, "ours": ours}[side](folder)
    losses = [step(LR) for _ in range(_FIRST)]
    print(json.dumps(losses), flush=True)
    for line in sys.stdin:
        steps = int(line)
        start = time.perf_counter()
        for _ in range(steps):
            step(STILL_LR)
        print((time.perf_counter() - start) / steps, flush=True)
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    assert found is not None
    print(int(found.group(1)) << 10, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        train(sys.argv[2], Path(sys.argv[3]))
