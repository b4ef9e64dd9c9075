"""Samples cut in time on TensorRT: above the engine, with the bits of ONNX Runtime. Engines themselves need a GPU to run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_cudart import FakeCudart
from support.host_engine import load_on_host
from support.microcontroller_bundles import batches, bits, trained
from support.slow import slow_after

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import DataError
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_devices.runtimes import load_block
from edgebll_export import export_bundle, make_target


def _bits(block: BlockRuntime) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in block.state().items()}


@pytest.mark.parametrize("static", slow_after(1, [False, True]))
def test_chunks_go_on_from_a_state_in_mid_sample_with_the_bits_of_onnx_runtime(
    static: bool, cudart: FakeCudart, tmp_path: Path
) -> None:
    shape, options = ((5, 1, 6), {"time_steps": 4}) if static else ((4, 6), {})
    network = make_network(
        "spiking-mlp", num_blocks=2, num_classes=3, input_shape=shape, seed=0, options={"width": 8, "depth": 2, **options}
    )
    target = make_target("tensorrt-8.5")
    export_bundle(
        network, rule=make_rule("decolle", chunk=2), optimizer=SGD(), batch_size=2, path=tmp_path / "b", target=target
    )
    bundle = open_bundle(tmp_path / "b")
    for spec in bundle.manifest.blocks:
        with load_on_host(bundle, spec.name, cudart) as block, load_block("onnxruntime", bundle, spec.name) as judge:
            x, y = next(batches(spec, 1))
            assert trained(block, x, y, 0) == trained(judge, x, y, 0)
            middle = block.state()
            assert bits(block, 3) == bits(judge, 3)
            for runtime in (block, judge):
                runtime.load_state(middle)
            assert trained(block, x, y, 1) == trained(judge, x, y, 1)
            assert _bits(block) == _bits(judge)
            if not spec.static:
                with pytest.raises(DataError, match=r"expected x as float32\[2, 2, \d\]"):
                    block.train(x, y, {"lr": 0.1, "reset": 1.0})
