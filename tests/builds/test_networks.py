"""Every shipped network's graphs parse and build in NVIDIA's own compiler, without a warning. Needs no GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import exported, tensorrt_builds
from support.rules import VARIANTS
from support.tensorrt_builds import build

from edgebll.kernel.bundle import INT8_GRAPH, open_bundle
from edgebll.kernel.errors import BundleError
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, make_target
from edgebll_export.bundles.quantize import quantize_bundle

pytestmark = pytest.mark.skipif(not tensorrt_builds.AVAILABLE, reason=tensorrt_builds.WHY_NOT)

BATCH = 16
SMALL_BATCH = 2  # golden vectors of the large network in half precision take PyTorch on a processor long
#: network, rule, target, precision.
CASES = [
    ("mlp", "bll", "tensorrt-8.5", "float32"),
    ("mlp", "greedy", "tensorrt-8.6", "mixed"),
    ("mlp", "bll", "tensorrt-11", "bfloat16"),
    ("resnet8", "bll", "tensorrt-8.5", "float32"),
    ("resnet8", "bll", "tensorrt-8.6", "mixed"),
    ("resnet8", "greedy", "tensorrt-10", "bfloat16"),
    pytest.param(("resnet8", "dgl", "tensorrt-10", "bfloat16"), marks=pytest.mark.slow),  # several layers in its heads
    ("mlp", "man", "tensorrt-8.5", "float32"),
    pytest.param(("resnet18", "bll", "tensorrt-8.5", "float32"), marks=pytest.mark.wide),
    pytest.param(("resnet18", "bll", "tensorrt-10", "mixed"), marks=pytest.mark.wide),
    ("byte-transformer", "bll", "tensorrt-8.5", "float32"),
    pytest.param(("spiking-mlp", "bll", "tensorrt-8.5", "float32"), marks=pytest.mark.slow),
    pytest.param(("spiking-mlp", "eprop, in chunks", "tensorrt-8.5", "float32"), marks=pytest.mark.slow),
    pytest.param(("spiking-conv", "decolle, in chunks", "tensorrt-10", "float32"), marks=pytest.mark.slow),
    pytest.param(("spiking-conv", "greedy", "tensorrt-10", "mixed"), marks=pytest.mark.slow),
]
#: Networks of another kind of samples: shape, classes and options.
OTHERS: dict[str, dict[str, Any]] = {
    "byte-transformer": {"input_shape": (16, 256), "num_classes": 256, "outputs": (16, 256), "options": {"dim": 32}},
    "spiking-mlp": {"input_shape": (6, 2, 8, 8), "num_classes": 10, "options": {"width": 32}},
    "spiking-conv": {"input_shape": (4, 2, 8, 8), "num_classes": 10, "options": {"width": 4}},
}


def _export(case: tuple[str, str, str, str], path: Path) -> None:
    network, variant, target, precision = case
    rule, told = VARIANTS[variant]
    kind = OTHERS.get(network, {"input_shape": (1, 28, 28), "num_classes": 10})
    made = make_network(network, num_blocks=4, seed=0, **kind)
    export_bundle(
        made,
        rule=make_rule(rule, **told),
        optimizer=SGD(),
        batch_size=SMALL_BATCH if network == "resnet18" else BATCH,
        path=path,
        target=make_target(target),
        precision=precision,
    )


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_every_graph_builds_without_warnings(case: tuple[str, str, str, str], tmp_path: Path) -> None:
    _export(case, tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    assert (bundle.manifest.target, bundle.manifest.precision) == case[2:]
    for block in bundle.manifest.blocks:
        for graph in block.graphs:
            built = build(f"{block.name}/{graph}", bundle.graph(block.name, graph))
            assert built.engine
            assert built.warnings == ()


@pytest.mark.parametrize("target", ["tensorrt-8.5", "tensorrt-10"])
def test_graphs_on_tokens_build(target: str, tmp_path: Path) -> None:
    bundle = exported.tokens(tmp_path / "bundle", target)
    for graph in bundle.manifest.block("block0").graphs:
        built = build(graph, bundle.graph("block0", graph))
        assert built.engine
        assert all("Make sure input x has Int64 binding" in warning for warning in built.warnings)  # which the runtime gives it


def test_int8_graphs_build(tmp_path: Path) -> None:
    _export(("resnet8", "bll", "tensorrt-8.6", "float32"), tmp_path / "float")
    samples = np.random.default_rng(0).standard_normal((BATCH, 1, 28, 28), dtype=np.float32)
    quantize_bundle(tmp_path / "float", tmp_path / "int8", samples)
    bundle = open_bundle(tmp_path / "int8")
    for block in bundle.manifest.blocks:
        assert build(block.name, bundle.graph(block.name, INT8_GRAPH)).warnings == ()


def test_graphs_for_onnx_runtime_are_refused_with_advice(tmp_path: Path) -> None:
    """What makes targets necessary: ONNX Runtime's own form of batch norm does not parse."""
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    export_bundle(network, rule=make_rule("bll"), optimizer=SGD(), batch_size=BATCH, path=tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"BatchNormalization.*--target tensorrt"):
        build("block0/step", open_bundle(tmp_path / "bundle").graph("block0", "step"))
