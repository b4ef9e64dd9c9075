"""Making layers and numbers that depend on a seed alone, whatever the program around does with PyTorch's settings."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

#: PyTorch's generator and default dtype are of the whole process: one thread at a time has them.
_ALONE = threading.RLock()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While open, PyTorch's generator starts from `seed` and float32 is its default; afterwards both are as they were.

    Args:
        seed: where the generator starts. Another thread that asks for one waits.
    """
    with _ALONE, torch.random.fork_rng(devices=[]):
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
