"""bench/gpu_speed.py, as far as a machine without a GPU can show that it will run: its loops, its report, its refusal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support.fake_cudart import FakeCudart
from support.host_engine import load_on_host

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import make_network
from edgebll_devices.runtimes import missing
from edgebll_export import export_bundle, make_target

BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    import gpu_loop
    import gpu_speed

    monkeypatch.setattr(gpu_loop, "STEPS", 2)
    return gpu_speed


def test_without_a_gpu_it_says_so_and_exits_with_10(
    speed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing("tensorrt") is None:
        pytest.skip("this machine has a GPU and TensorRT: run python bench/gpu_speed.py")
    monkeypatch.setattr(sys, "argv", ["gpu_speed.py"])
    assert speed.main() == 10
    said = capsys.readouterr().err
    assert said.startswith("gpu_speed.py: there is no GPU to measure: the runtime tensorrt needs ")
    assert said.count("\n") == 1


def test_both_loops_train(speed: Any, cudart: FakeCudart, tmp_path: Path) -> None:
    """The PyTorch loop's weights are those of as many steps of the exported graph."""
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 4, 4), seed=0)
    rule, optimizer = make_rule("bll"), SGD()
    step = make_steps(network, rule, optimizer, 8)[0]
    export_bundle(network, rule=rule, optimizer=optimizer, batch_size=8, path=tmp_path / "b", target=make_target("tensorrt-10"))
    x = torch.randn(step.spec.input.shape, generator=torch.Generator().manual_seed(0))
    y = torch.eye(10)[torch.arange(8)]
    module = network.blocks[0]
    made: dict[str, torch.nn.Module] = {}
    for precision in speed.PRECISIONS:
        run = speed.torch_loop(step, module, x, y, 0.1, precision, device="cpu", keep=made)
        run()
    trained = {name: value.detach().numpy() for name, value in made["float32"].named_parameters()}
    with load_on_host(open_bundle(tmp_path / "b"), "block0", cudart) as block:
        before = block.state()
        run = speed.resident(block, x, y, 0.1)  # one step to put the inputs in place, then two
        block.load_state(before)
        run()
        state = block.state()
    pairs = [(value, next(state[key] for key in state if key.endswith(name))) for name, value in trained.items()]
    assert pairs
    assert all(abs(ours - theirs).max() < 1e-4 for ours, theirs in pairs)


def test_the_report_names_conditions_and_the_goal(speed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    rows = [
        speed.Row(block, batch, precision, {"TensorRT": ms, "TensorRT, host to host": 3.0, "eager": 2.4, "compile": 2.0})
        for block, ms in (("block0", 1.0), ("block1", 1.2))
        for batch in (1, 64)
        for precision in speed.PRECISIONS
    ]
    text = speed.report(rows, "resnet18")
    assert "Some GPU" in text
    assert "| block1 | mixed | 64 | 1.200 | 3.000 | 2.400 | 2.000 | 2.00 |" in text
    assert "2.19 (mixed, batch 64)" in text
    assert "met (2.19)" in text
    assert "MISSED" in speed.report([speed.Row("b", 64, "mixed", {"TensorRT": 2.0, "eager": 3.0})], "x")
