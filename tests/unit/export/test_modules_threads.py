"""One network in several threads: each waits for the others, and all get what one alone gets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from support.plain_training import export
from torch import Tensor, nn

import edgebll
from edgebll.learning import SGD, Greedy, make_steps
from edgebll.learning.modules.seeding import seeded
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, export_step, verify_bundle
from edgebll_export.bundles.one_at_a_time import _ALONE
from edgebll_export.bundles.quantize import quantize_bundle

#: How long one thread waits for another that must not come, in seconds.
WAIT = 0.1


class Meets(nn.Module):
    """Notes whether two threads are inside at once."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        if MEETING[0] is not None:
            try:
                MEETING[0].wait(WAIT)
                MET.append(threading.get_ident())
            except threading.BrokenBarrierError:
                pass  # nobody came
        return self.a(x)


MEETING: list[threading.Barrier | None] = [None]
MET: list[int] = []


def network(first: nn.Module) -> BlockNetwork:
    """The block and a classifier."""
    return BlockNetwork([first, nn.Linear(6, 3)], num_classes=3, input_shape=(3,))


def test_no_two_threads_are_in_a_module_at_once() -> None:
    inner = Meets()
    whole = make_steps(network(nn.Sequential(inner)), Greedy(head_size=1), SGD(), 4)[0]
    part = make_steps(network(inner), Greedy(head_size=1), SGD(), 4)[0]
    x = torch.randn(4, 3)
    MEETING[0] = threading.Barrier(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            results = [pool.submit(step.forward, step.initial_state(), x) for step in (whole, part)]
            assert torch.equal(results[0].result(), results[1].result())
    finally:
        MEETING[0] = None
    assert not MET


def test_exports_at_once_are_those_made_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shared = network(nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Dropout(0.5)))
    export(shared, tmp_path / "alone")
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(export, shared, tmp_path / name) for name in ("one", "other")]:
            done.result()
    for file in ("state.safetensors", "golden.safetensors", "step.onnx"):
        alone, one, other = ((tmp_path / name / "block0" / file).read_bytes() for name in ("alone", "one", "other"))
        assert one == alone, file
        assert other == alone, file


@pytest.mark.parametrize("function", [export_bundle, verify_bundle, quantize_bundle, export_step, edgebll.merge])
def test_what_traces_or_compares_waits_for_other_threads(function: Callable[..., object]) -> None:
    """It fails at once, as it is given nothing, but not before this thread has let it in."""
    ended = threading.Event()

    def call() -> None:
        try:
            function()
        except TypeError:
            ended.set()

    thread = threading.Thread(target=call)
    with _ALONE:
        thread.start()
        assert not ended.wait(WAIT)
    thread.join()
    assert ended.is_set()


def test_what_a_seed_decides_is_the_same_whatever_another_thread_draws() -> None:
    def drawn(seed: int) -> list[float]:
        with seeded(seed):
            return torch.rand(2).tolist()

    def beside() -> list[float]:
        with seeded(1):
            inside.set()
            first = torch.rand(1)
            leave.wait(WAIT)
            return [*first.tolist(), *torch.rand(1).tolist()]

    inside, leave = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with seeded(0):
            found = torch.rand(1).tolist()
            other = pool.submit(beside)
            inside.wait(WAIT)
            found += torch.rand(1).tolist()
        leave.set()
        assert other.result() == drawn(1)
    assert found == drawn(0)
