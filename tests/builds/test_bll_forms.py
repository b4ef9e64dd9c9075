"""Graphs of every form of BLL parse and build in NVIDIA's own compiler, without a warning. Needs no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import tensorrt_builds
from support.rules import BLL_FORMS
from support.slow import slow_after
from support.tensorrt_builds import build

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, make_target

pytestmark = pytest.mark.skipif(not tensorrt_builds.AVAILABLE, reason=tensorrt_builds.WHY_NOT)

#: Half of them in half precision, whose steps scale their loss.
PRECISIONS = ("float32", "mixed")


@pytest.mark.parametrize("form", slow_after(0, BLL_FORMS))
def test_every_graph_builds_without_warnings(form: str, tmp_path: Path) -> None:
    name, options = BLL_FORMS[form]
    made = make_network("resnet8", num_blocks=2, num_classes=10, input_shape=(1, 12, 12), seed=0, options={"width": 4})
    precision = PRECISIONS[list(BLL_FORMS).index(form) % 2]
    target = make_target("tensorrt-8.5" if precision == "float32" else "tensorrt-8.6")
    rule = make_rule(name, **options)
    export_bundle(made, rule=rule, optimizer=SGD(), batch_size=8, path=tmp_path / "bundle", target=target, precision=precision)
    bundle = open_bundle(tmp_path / "bundle")
    block = bundle.manifest.blocks[0]
    for graph in block.graphs:
        built = build(f"{block.name}/{graph}", bundle.graph(block.name, graph))
        assert built.engine
        assert built.warnings == ()
