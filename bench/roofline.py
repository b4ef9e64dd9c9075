"""How fast the matrix products of a graph run on ONNX Runtime, beside a plain large one."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

_PRODUCTS = {"MatMul", "FusedMatMul", "Gemm", "FusedGemm", "Conv", "FusedConv", "ConvTranspose"}


def matmul_rate(size: int = 1024, repeats: int = 9) -> float:
    """FLOP/s of a float32 matrix product of size^3 on one thread."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, size]) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", infos[:2], infos[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = _session(model.SerializeToString())
    values = np.random.default_rng(0).standard_normal((2, size, size), np.float32)
    inputs = {"a": values[0], "b": values[1]}
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times[2:])


def profiled_rate(model: Any, inputs: Mapping[str, Any], repeats: int = 7) -> tuple[float, float]:
    """Profile a graph node by node.

    Returns:
        FLOP/s of its matrix products and convolutions, from the shapes that ran; and their share of the time of all nodes.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = _session(model, str(Path(folder) / "profile"))
        for _ in range(repeats + 1):
            session.run(None, dict(inputs))
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    times: dict[str, list[float]] = defaultdict(list)
    flops: dict[str, int] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            times[event["name"]].append(1e-6 * event["dur"])
            if event["args"]["op_name"] in _PRODUCTS:
                flops[event["name"]] = _flops(event["args"])
    typical = {name: statistics.median(kept) for name, kept in times.items()}
    busy = sum(typical[name] for name in flops)
    return sum(flops.values()) / busy, busy / sum(typical.values())


def _flops(node: Mapping[str, Any]) -> int:
    first, *others = (_shape(kind) for kind in node["input_type_shape"])  # constants packed beforehand are not listed
    out = _shape(node["output_type_shape"][0])
    if node["op_name"] == "ConvTranspose":
        return 2 * math.prod(first) * math.prod(others[0][1:])
    if "Conv" in node["op_name"]:
        return 2 * math.prod(out) * math.prod(others[0][1:])
    # The summed size follows from the left matrix, transposed or not: its elements over the rows of the result.
    return 2 * math.prod(out) * (math.prod(first[-2:]) // out[-2])


def _shape(kind: Mapping[str, list[int]]) -> list[int]:
    return next(iter(kind.values()))


def _session(model: Any, profile: str | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
