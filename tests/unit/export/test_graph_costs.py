"""What computing a graph takes, memory at once and arithmetic: by hand, by PyTorch, and by what exported files say."""

from __future__ import annotations

import copy
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from support.tiny_bundle import make_tiny_bundle
from torch.utils.flop_counter import FlopCounterMode

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.bundle.graph_costs import FLOPS, PEAK_BYTES, noted_cost
from edgebll.kernel.errors import BundleError
from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle
from edgebll_export.graph.graph_costs import flops, note_costs, peak


def model(*nodes: tuple[str, list[str], list[str]]) -> onnx.ModelProto:
    """Of tensors of 10 floats, from x to y."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (2, 5)) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(*node) for node in nodes], "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_results_are_counted_while_something_needs_them() -> None:
    assert peak(model(("Relu", ["x"], ["y"]))) == 0, "inputs and outputs are there anyway"
    assert peak(model(("Relu", ["x"], ["a"]), ("Relu", ["a"], ["y"]))) == 40
    chain = [("Relu", [before], [after]) for before, after in ("xa", "ab", "bc", "cd", "dy")]
    assert peak(model(*chain)) == 80, "one is read while the next is written"
    held = [*chain[:-1], ("Add", ["d", "a"], ["y"])]
    assert peak(model(*held)) == 120, "a is kept to the end"


def test_what_nobody_reads_is_counted_once() -> None:
    assert peak(model(("Relu", ["x"], ["a"]), ("Relu", ["x"], ["b"]), ("Relu", ["x"], ["y"]))) == 40


def test_the_file_tells_it_and_files_of_earlier_releases_do_not(tmp_path: Path) -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=16, path=tmp_path / "b")
    bundle = open_bundle(tmp_path / "b")
    largest = max(tensor.size_bytes for tensor in bundle.manifest.blocks[0].state)
    told = bundle.peak_bytes("block0", "step")
    assert told is not None
    assert largest < told < 20 * largest
    assert make_tiny_bundle(tmp_path / "t").peak_bytes("block0", "step") is None


@pytest.mark.parametrize("text", ["", "-1", "many", "9" * 16])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    made = model(("Relu", ["x"], ["y"]))
    note_costs(made)
    assert noted_cost(made.SerializeToString(), PEAK_BYTES) == 0
    assert noted_cost(made.SerializeToString(), FLOPS) == 10
    helper.set_model_props(made, {"other": "1", PEAK_BYTES: text})
    with pytest.raises(BundleError, match="not a number"):
        noted_cost(made.SerializeToString(), PEAK_BYTES)


def test_arithmetic_by_hand() -> None:
    assert flops(model(("Relu", ["x"], ["a"]), ("Transpose", ["a"], ["b"]), ("Identity", ["a"], ["y"]))) == 10
    x, y = (helper.make_tensor_value_info(*of) for of in (("x", 1, (2, 3, 8, 8)), ("y", 1, (2, 4, 6, 6))))
    kernel = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 3, 3), [0.0] * 108)
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", [x], [y], [kernel])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert flops(made) == 2 * 2 * 4 * 6 * 6 * 3 * 3 * 3
    back = helper.make_node("ConvTranspose", ["y", "w"], ["x"])
    made = helper.make_model(helper.make_graph([back], "g", [y], [x], [kernel]), opset_imports=[helper.make_opsetid("", 17)])
    assert flops(made) == 2 * 2 * 4 * 6 * 6 * 3 * 3 * 3


def test_a_step_takes_what_pytorch_counts_for_it(tmp_path: Path) -> None:
    """Of an MLP nearly all are products; what is none, and the small head, are little."""

    options = {"width": 256, "depth": 4}
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0, options=options)
    export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=64, path=tmp_path / "b")
    told = open_bundle(tmp_path / "b").flops("block0", "step")
    with FlopCounterMode(display=False) as counter:
        copy.deepcopy(network.blocks[0])(torch.randn(64, 1, 8, 8)).sum().backward()
    assert told is not None
    assert counter.get_total_flops() < told < 1.3 * counter.get_total_flops()
