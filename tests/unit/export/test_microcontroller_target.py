"""The target for microcontrollers: what is refused and how it is said, its passes, its operators beside their page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from onnx import TensorProto
from support.documents import Document
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, make_target
from edgebll_export.passes import COMPACT_PASSES
from edgebll_export.passes.drop_axes import drop_axes
from edgebll_export.passes.fuse_updates import fuse_updates
from edgebll_export.passes.scan_updates import scan_updates
from edgebll_export.passes.transposes import merge_transposes
from edgebll_export.targets.microcontroller import operator_list

TARGET = make_target("microcontroller")


@pytest.mark.parametrize(
    ("operator", "dtypes", "attributes", "reason"),
    [
        ("Conv", ["float32", "float32"], {"kernel_shape": [3, 3]}, None),
        ("Conv", ["float32", "float32"], {"kernel_shape": [3, 3, 3]}, "convolves over 2 axes at most, not over 3"),
        ("ConvTranspose", ["float32", "float32"], {"kernel_shape": [1, 1, 1]}, "convolves over 2 axes at most, not over 3"),
        ("Tanh", ["float32"], {}, None),
        ("MaxPool", ["float32"], {}, "has no operator MaxPool; devices/firmware/OPERATORS.md lists those it has"),
        ("TopK", ["float32", "int64"], {}, "has no operator TopK; use amax or amin"),
        ("Pow", ["float32", "float32"], {}, "has no operator Pow; raise to a constant power"),
        ("Scan", ["float32"], {}, "has no operator Scan"),
        ("Mul", ["int64", "int64"], {}, "takes no int64 in Mul; convert it with .float() before"),
        ("Mul", ["float16", "float16"], {}, "does not compute in float16; compute in float32"),
        ("Equal", ["int64", "int64"], {}, None),
        ("Gather", ["float32", "int64"], {"axis": 0}, None),
        ("Gather", ["int64", "int64"], {"axis": 0}, "takes no int64 in Gather"),
        ("Where", ["bool", "float32", "float32"], {}, None),
        ("Where", ["bool", "int64", "int64"], {}, "chooses between numbers of float32 alone, not of int64"),
        ("Cast", ["uint8"], {"to": TensorProto.FLOAT}, None),
        ("Cast", ["int32"], {"to": TensorProto.INT64}, None),
        ("Cast", ["float32"], {"to": TensorProto.INT64}, None),
        ("Cast", ["float32"], {"to": TensorProto.UINT8}, "does not convert float32 to uint8; compute in float32"),
        ("Gather", ["float32", "float32"], {"axis": 0}, "picks by whole numbers that come from outside, not by computed ones"),
        ("Cast", ["float32"], {"to": TensorProto.DOUBLE}, "does not convert float32 to float64"),
    ],
)
def test_what_is_taken(operator: str, dtypes: list[str], attributes: dict[str, object], reason: str | None) -> None:
    found = TARGET.refusal(operator, dtypes, 1, attributes)
    assert found is None if reason is None else f"a microcontroller {reason}" in (found or "")


class Called(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """What the function makes of x."""
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "shape", "said"),
    [
        (lambda x: x.topk(2)[0], (4,), r"block0/forward: a microcontroller has no operator TopK; .*aten\.topk.*layer '0\.1'"),
        (lambda x: x.abs() ** x, (4,), r"block0/forward: a microcontroller has no operator Pow; .*aten\.pow.*layer '0\.1'"),
        (
            lambda x: x.reshape(len(x), 1, 2, 1, 2, 1, 1).flip(4).sum((1, 2)),
            (4,),
            r"block0/forward: the target microcontroller has 6 axes at most, and \w+ has a value of 7 .*layer '0\.1'",
        ),
    ],
)
def test_refusals_name_operator_and_place(
    function: Callable[[Tensor], Tensor], shape: tuple[int, ...], said: str, tmp_path: Path
) -> None:
    inner = nn.Sequential(nn.Linear(shape[0], shape[0]), Called(function))
    features = inner(torch.zeros(1, *shape)).numel()
    network = BlockNetwork([nn.Sequential(inner, nn.Flatten(), nn.Linear(features, 3))], 3, shape)
    refused(network, said, tmp_path)


def test_convolutions_over_three_axes_are_refused(tmp_path: Path) -> None:
    block = nn.Sequential(nn.Conv3d(1, 2, 2), nn.Flatten(), nn.Linear(2, 3))
    said = r"convolves over 2 axes at most, not over 3; make the others channels .*aten\.convolution.*layer '0'"
    refused(BlockNetwork([block], 3, (1, 2, 2, 2)), said, tmp_path)


def refused(network: BlockNetwork, said: str, folder: Path, **options: str) -> None:
    """Export fails with one sentence and leaves nothing."""
    how = {"rule": make_rule("backprop"), "optimizer": SGD(), "batch_size": 2, "path": folder / "bundle", "target": TARGET}
    with pytest.raises(ExportError, match=said) as caught:
        export_bundle(network, **how, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (folder / "bundle").exists()


def test_other_precisions_are_refused(tmp_path: Path) -> None:
    network = BlockNetwork([nn.Linear(4, 3)], 3, (4,))
    refused(network, "the target microcontroller does not compute in mixed; it has float32", tmp_path, precision="mixed")


def test_options_of_other_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match="the target microcontroller has opset 17; leave the opset out"):
        make_target("microcontroller", 18)
    with pytest.raises(ConfigError, match="computes on one core, so threads of a processor mean nothing"):
        make_target("microcontroller", threads=1)


def test_passes_that_hide_updates_and_transposes_are_left_out() -> None:
    """They join updates, which then cannot be made in place, or write transposes as reshapes around others."""
    assert not {drop_axes, fuse_updates, merge_transposes, scan_updates} & set(COMPACT_PASSES)


def test_the_page_describes_just_the_listed_operators() -> None:
    """devices/firmware/OPERATORS.md, which planners and runtimes are written from."""
    text = Document("devices/firmware/OPERATORS.md").text
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    described = {name for cell in cells for name in re.findall(r"[A-Z]\w+", cell)}
    assert described == set(operator_list().operators)
    assert f"at most {operator_list().axes} axes" in text
