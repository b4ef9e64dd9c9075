"""Merged models against the same networks exported by PyTorch, on ONNX Runtime: python bench/merged.py [--seconds S].

Both are the whole network in evaluation mode with its weights inside, and ONNX Runtime optimises both as it loads. They take
turns, so that a disturbance of the machine hits both. Writes the section "merged" of bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from results import machine, table, write_section
from timing import medians

import edgebll
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll_export import export_bundle


class Case(NamedTuple):
    """A network and its input."""

    name: str
    shape: tuple[int, ...]


CASES = (Case("resnet8", (1, 28, 28)), Case("resnet18", (3, 32, 32)), Case("vgg16", (3, 32, 32)), Case("transformer", (16, 32)))
BATCHES = (1, 16)
_BLOCKS = 2


def main() -> None:
    """Measure all cases and write the section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0, help="for each case and batch size")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    rows = [row for case in CASES for row in _case(case, seconds)]
    header = ("network", "batch", "PyTorch's export ms", "merged, any batch ms", "merged, fixed ms", "x any", "x fixed")
    conditions = (
        f"Conditions: {machine()}; PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, one thread; medians of "
        "turns. Ratios say how many times as fast the merged model is."
    )
    write_section("merged", f"## Merged models against PyTorch's export\n\n{conditions}\n\n{table(header, rows)}")


def _case(case: Case, seconds: float) -> list[list[str]]:
    network = make_network(case.name, num_blocks=_BLOCKS, num_classes=10, input_shape=case.shape, seed=0)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        export_bundle(network, rule=make_rule("bll"), optimizer=SGD(), batch_size=2, path=bundle)
        dynamic = _load(Path(edgebll.merge(bundle, Path(scratch) / "any.onnx")).read_bytes())
        rows = []
        for batch in BATCHES:
            fixed = _load(Path(edgebll.merge(bundle, Path(scratch) / "fixed.onnx", batch=batch)).read_bytes())
            x = torch.from_numpy(np.random.default_rng(0).standard_normal((batch, *case.shape), dtype=np.float32))
            contenders = {"any": dynamic, "fixed": fixed, "torch": _load(_by_pytorch(network, x))}
            _check_same(contenders, x.numpy())
            found = medians({name: _call(one, x.numpy()) for name, one in contenders.items()}, seconds)
            shares = [f"{found['torch'] / found[name]:.2f}" for name in ("any", "fixed")]
            rows.append([case.name, str(batch), *(f"{1e3 * found[name]:.3f}" for name in ("torch", "any", "fixed")), *shares])
            print(rows[-1], flush=True)
        return rows


def _by_pytorch(network: BlockNetwork, x: torch.Tensor) -> bytes:
    network.eval()
    with warnings.catch_warnings(), tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), file.name, dynamo=False)
        network.train()
        return Path(file.name).read_bytes()


def _load(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _call(session: onnxruntime.InferenceSession, x: np.ndarray) -> Callable[[], object]:
    return partial(session.run, None, {session.get_inputs()[0].name: x})


def _check_same(sessions: dict[str, onnxruntime.InferenceSession], x: np.ndarray) -> None:
    results = [session.run(None, {session.get_inputs()[0].name: x})[0] for session in sessions.values()]
    for result in results[:-1]:
        np.testing.assert_allclose(result, results[-1], atol=1e-4 * np.abs(results[-1]).max())


if __name__ == "__main__":
    main()
