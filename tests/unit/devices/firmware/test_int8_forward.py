"""Quantised forward passes on microcontrollers: near ONNX Runtime's, the same bits in C, and a quarter of the memory."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.c_library import LibraryBlock
from support.emulated_boards import CORES, run_emulated
from support.microcontroller_bundles import batches, int8_bundle, microcontroller_bundle
from support.microcontroller_tools import emulated_boards
from support.slow import slow_after
from support.small_networks import small_network_of
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import INT8_GRAPH, open_bundle
from edgebll.kernel.errors import BundleError, DataError
from edgebll.kernel.execution.runtime_table import load_int8_forward
from edgebll.kernel.microcontroller import plan_block, plan_int8_forward
from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_format import decode
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, GemmKernel, factors_of
from edgebll.kernel.microcontroller.plan_parts import PlanDtype
from edgebll.kernel.microcontroller.translation import NODE_TRANSLATORS
from edgebll.kernel.support.bounds import WrongValue
from edgebll_export.bundles.quantize import quantize_bundle

NO_FEEDBACK, NO_STEP = 36, 40
NETWORKS = slow_after(1, ["lenet", "mlp", "dscnn", "resnet"], "resnet".__eq__)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_computes_what_onnxruntime_does(network: str) -> None:
    """As far as rounding goes: where a number lies between two int8, one step more or less."""
    bundle = int8_bundle(network)
    for spec in bundle.manifest.blocks:
        own, other = (load_int8_forward(bundle, spec.name, runtime) for runtime in ("ordered", "onnxruntime"))
        for x, _ in batches(spec, 3):
            found, wanted = own.evaluate(x), other.evaluate(x)
            assert np.abs(wanted).max() > 0.01
            assert np.quantile(np.abs(found - wanted), 0.9) < 1e-5 * np.abs(wanted).max()
            assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()


@pytest.mark.parametrize("network", NETWORKS)
def test_every_product_is_one_of_integers_and_takes_less_memory(network: str) -> None:
    plain, bundle = microcontroller_bundle(network), int8_bundle(network)
    for spec in bundle.manifest.blocks:
        plan = plan_int8_forward(bundle, spec.name)
        kernels = plan.graphs["forward"].plan.kernels
        products = [kernel for kernel in kernels if isinstance(kernel, ConvKernel | GemmKernel)]
        assert products
        assert {factor.dtype for product in products for factor in factors_of(product)} == {PlanDtype.INT8}
        weights = sum(tensor.size_bytes for tensor in spec.state if tensor.name in spec.forward_state)
        assert plan.state_bytes == 0
        assert plan.plan_bytes < 0.25 * weights + 3000
        assert plan.arena_bytes <= plan_block(plain, spec.name).graphs["forward"].plan.arena_bytes


def test_results_of_products_are_rounded_for_other_targets_alone() -> None:
    model = onnx.load_from_string(int8_bundle("lenet").graph("block0", INT8_GRAPH))
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    rounded = [makers.get(node.input[0]) for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert rounded
    assert not {"Conv", "Gemm", "MatMul"} & set(rounded)


def test_the_c_library_predicts_with_the_same_bits_and_trains_nothing() -> None:
    bundle = int8_bundle("mlp")
    spec, own = bundle.manifest.block("block0"), load_int8_forward(bundle, "block0", "ordered")
    with LibraryBlock(bundle, "block0", int8=True) as block:
        assert block.error == 0
        for x, _ in batches(spec, 3):
            assert block.evaluate(x).tobytes() == own.evaluate(x).tobytes()
        with pytest.raises(DataError, match=f"error {NO_STEP}"):
            block.train(x, x[:0], {"lr": 0.1})
        assert block.ask(b"f") == NO_FEEDBACK
        assert block.state() == {}


@emulated_boards()
@pytest.mark.parametrize("core", ["M4F", *(pytest.param(name, marks=pytest.mark.slow) for name in ("M3", "M55"))])
def test_a_microcontroller_has_the_same_bits(core: str) -> None:
    bundle = int8_bundle("lenet")
    plan, (x, _) = plan_int8_forward(bundle, "block0"), next(batches(bundle.manifest.block("block0"), 1))
    (place,), arena = plan.graphs["forward"].inputs, np.zeros(plan.arena_bytes, np.uint8)
    arena[place.offset : place.offset + x.nbytes] = np.frombuffer(x.tobytes(), np.uint8)
    said = run_emulated(CORES[core], plan.encoded["forward"], b"", arena.tobytes())
    run_ordered(decode(plan.encoded["forward"]), np.zeros(0, np.uint8), arena)
    assert (said["error"], said["arena"]) == (0, zlib.crc32(arena.tobytes()))


def test_the_commands_take_int8_and_refuse_what_is_not_quantised(tmp_path: Path) -> None:
    bundle, plain = str(int8_bundle("mlp").path), str(microcontroller_bundle("mlp").path)
    run = CliRunner().invoke
    made = run(app, ["firmware", "embed", bundle, "--int8", "--out", str(tmp_path), "--json"])
    assert made.exit_code == 0, made.output
    assert [row["state_bytes"] for row in json.loads(made.stdout)] == [0, 0]
    source, header = ((tmp_path / f"block0.{ending}").read_text() for ending in "ch")
    assert "It predicts in int8, with weights that stay, and has no state." in header
    assert "metrics" not in header
    assert ".step" not in source
    refused = run(app, ["firmware", "embed", plain, "--int8", "--out", str(tmp_path / "none")])
    assert refused.exit_code == 3
    assert "has no int8 graphs; make a bundle that has with `edgebll quantize`" in refused.output
    assert not (tmp_path / "none").exists()


def test_other_runtimes_compute_no_int8() -> None:
    with pytest.raises(
        WrongValue, match="runtime must be onnxruntime, ordered or serial for int8 forward graphs, not reference"
    ):
        load_int8_forward(int8_bundle("mlp"), "block0", "reference")


def test_what_cannot_run_on_a_microcontroller_is_refused_when_it_is_quantised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain, x = microcontroller_bundle("mlp"), np.ones((4, 1, 8, 8), np.float32)
    monkeypatch.delitem(NODE_TRANSLATORS, "DequantizeLinear")
    with pytest.raises(BundleError, match=r"block0/forward_int8\.onnx: the DequantizeLinear node .* cannot run on a micro"):
        quantize_bundle(plain.path, tmp_path / "none", x, network=small_network_of("mlp"))
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_quantising_tells_what_each_block_takes(tmp_path: Path) -> None:
    learned = ["train", "--data", "digits", "--network", "mlp", "--blocks", "2", "--rule", "bll", "--epochs", "1"]
    run = CliRunner().invoke
    for words in (
        [*learned, "--limit", "32", "--batch-size", "16", "--out", str(tmp_path / "run")],
        ["export", str(tmp_path / "run"), "--target", "microcontroller", "--batch-size", "4", "--out", str(tmp_path / "b")],
    ):
        assert run(app, words).exit_code == 0
    made = ["quantize", str(tmp_path / "b"), "--samples", "16", "--out", str(tmp_path / "q")]
    told = json.loads(run(app, [*made, "--json"]).stdout)["microcontroller"]
    plan = plan_int8_forward(open_bundle(tmp_path / "q"), "block1")
    assert told[1] == {"block": "block1", "arena_bytes": plan.arena_bytes, "flash_bytes": plan.plan_bytes}
    assert f"{plan.plan_bytes / 1024:.1f}" in run(app, made).stdout
