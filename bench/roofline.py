"""How fast a step could be: the machine's own matrix products, and the arithmetic a step needs."""

from __future__ import annotations

import statistics
import time

import numpy as np
import onnxruntime
from contenders import Run
from onnx import TensorProto, helper
from torch.utils.flop_counter import FlopCounterMode


def matmul_rate(threads: int = 1, size: int = 1024, repeats: int = 9) -> float:
    """FLOP/s of a float32 matrix product of size^3 on ONNX Runtime."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, size]) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", infos[:2], infos[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = np.random.default_rng(0).standard_normal((2, size, size), np.float32)
    inputs = {"a": values[0], "b": values[1]}
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times[2:])


def flops(run: Run) -> int:
    """Floating-point operations of the matrix products and convolutions of a PyTorch step, counted as defined, not as run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())
