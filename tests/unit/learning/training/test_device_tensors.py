"""Where tensors of a step lie, and what PyTorch is set to for a device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.rules import DENSE

from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning import precision as precisions
from edgebll.learning.networks import make_network
from edgebll.learning.training.gpu_info import describe_gpu, driver_version
from edgebll.learning.training.torch_device import torch_settings

HAS_GPU = torch.cuda.is_available()


@pytest.mark.parametrize(
    ("rule", "network"),
    [(r, n) for r in DENSE for n in ("resnet8", "alexnet", "transformer") if (r, n) != ("infopro", "transformer")],
)
def test_no_step_makes_tensors_on_another_device(rule: str, network: str) -> None:
    """On tensors of the device "meta", which have no values: one made on the processor beside them would raise."""
    options, shape = _SMALL[network]
    blocks = 1 if make_rule(rule).one_block else 3
    made = make_network(network, num_blocks=blocks, num_classes=10, input_shape=shape, seed=0, options=options)
    x = None
    for step in make_steps(made, make_rule(rule), SGD(), 4):
        x = torch.empty(step.spec.input.shape, device="meta") if x is None else x
        state = {name: value.to("meta") for name, value in step.initial_state().items()}
        received = {tensor.name: torch.empty(tensor.shape, device="meta") for tensor in step.spec.received}
        y, lr = torch.empty(step.spec.labels.shape, device="meta"), torch.empty((), device="meta")
        stepped = step(state, x, y, {"lr": lr}, received)
        found = [*stepped.state.values(), *stepped.sent.values(), stepped.a, stepped.metrics]
        assert {value.device.type for value in found} == {"meta"}
        assert step.forward(state, x).device.type == "meta"
        x = stepped.a


_SMALL: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "resnet8": ({"width": 4}, (1, 8, 8)),
    "alexnet": ({"width": 8, "hidden": 16}, (3, 32, 32)),
    "transformer": ({"depth": 4, "dim": 16, "hidden": 16}, (10, 10)),
}


@pytest.mark.parametrize(("name", "dtype"), [("mixed", torch.float16), ("bfloat16", torch.bfloat16)])
def test_half_precision_is_that_of_the_device(monkeypatch: pytest.MonkeyPatch, name: str, dtype: torch.dtype) -> None:
    asked: list[tuple[str, torch.dtype]] = []

    @contextlib.contextmanager
    def autocast(device: str, dtype: torch.dtype, **_: object) -> Iterator[None]:
        asked.append((device, dtype))
        yield

    monkeypatch.setattr(torch, "autocast", autocast)
    for device in ("cpu", "cuda"):
        with precisions.make_precision(name).autocast(torch.device(device)):
            pass
    assert asked == [("cpu", dtype), ("cuda", dtype)]


@pytest.mark.parametrize("exact", [True, False])
def test_settings_of_a_gpu_are_left_as_they_were(exact: bool) -> None:
    cudnn = torch.backends.cudnn
    before = (cudnn.benchmark, cudnn.allow_tf32, torch.get_float32_matmul_precision(), torch.get_num_threads())
    with torch_settings(torch.device("cuda"), 1, exact=exact):
        assert (cudnn.benchmark, cudnn.allow_tf32) == (True, not exact)
        assert torch.get_float32_matmul_precision() == ("highest" if exact else "high")
    assert before == (cudnn.benchmark, cudnn.allow_tf32, torch.get_float32_matmul_precision(), torch.get_num_threads())


def test_the_driver_tells_its_version(tmp_path: Path) -> None:
    told = tmp_path / "version"
    assert driver_version(told) == ""
    told.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 01:52:58 UTC 2025\nGCC version: 12\n"
    )
    assert driver_version(told) == "570.124.06"
    told.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  565.57.01  Release Build\n")
    assert driver_version(told) == "565.57.01"
    assert (describe_gpu() == "") == (not HAS_GPU)
