"""Doing the same again, for results to be compared bit for bit: what else could make them differ is held still or looked at."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Results = Mapping[str, Tensor]


def copied_results(results: Results) -> dict[str, Tensor]:
    """Results that stay as they are, whatever later calls write into."""
    return {name: value.detach().clone() for name, value in results.items()}


def same_results(first: Results, second: Results) -> bool:
    """Whether all results are equal bit for bit."""
    return first.keys() == second.keys() and all(same_bits(value, second[name]) for name, value in first.items())


def same_bits(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal bit for bit, so that NaN equals itself."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return torch.equal(_content(first), _content(second))


def _content(value: Tensor) -> Tensor:
    return value.detach().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)


@contextlib.contextmanager
def repeating() -> Iterator[None]:
    """While open PyTorch computes on one thread, for several may add in any order; afterwards generators are as they were."""
    threads, watch = torch.get_num_threads(), GeneratorWatch()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        watch.put_back()


class GeneratorWatch:
    """The generators of Python and numpy that all share, as they are now."""

    def __init__(self) -> None:
        self._python, self._numpy = random.getstate(), np.random.get_state()

    def moved(self) -> frozenset[str]:
        """Which of them gave numbers since."""
        found = {"Python's random": random.getstate() != self._python}
        found["numpy.random"] = _plain(np.random.get_state()) != _plain(self._numpy)
        return frozenset(name for name, has_moved in found.items() if has_moved)

    def put_back(self) -> None:
        """Make them as they were; one that gave nothing is left alone."""
        moved = self.moved()
        if "Python's random" in moved:
            random.setstate(self._python)
        if "numpy.random" in moved:
            np.random.set_state(self._numpy)


def _plain(state: Any) -> tuple[Any, ...]:
    return (state[0], state[1].tobytes(), *state[2:])
