"""Where a run computes, and how: its device, how maps lie in memory there, and how often it is asked for results."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning import BlockStep
from edgebll.learning.side_stream_exchange import Waiting

CPU, CUDA, AUTO = "cpu", "cuda", "auto"
DEVICES = (CPU, CUDA, AUTO)
#: Steps whose metrics are fetched from a GPU at once: each fetch waits until the GPU has done all it was told.
_GPU_FETCH_STEPS = 50
_MAPS = 4
_COMPILERS = ("g++", "clang++", "gcc", "clang", "c++", "cc")


def resolve_device(name: str) -> str:
    """CPU or CUDA for one of DEVICES: AUTO is a GPU where PyTorch sees one.

    Raises:
        ConfigError: another name, or there is no GPU for CUDA.
    """
    if name not in DEVICES:
        raise ConfigError(f"the device must be one of {', '.join(DEVICES)}, not {name!r}")
    there = name != CPU and torch.cuda.is_available()
    if name == CUDA and not there:
        raise ConfigError(f"the device is cuda, but {why_no_gpu()}; use the device cpu")
    return CUDA if there else CPU


def why_no_gpu() -> str:
    """Why PyTorch computes on no GPU here, where it does not."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this PyTorch ({torch.__version__}) was built without GPUs"
    return "PyTorch finds no GPU on this machine"


def why_no_compiler(device: str) -> str:
    """What compiling for a device ("cpu" or "cuda") lacks here; empty where there is everything."""
    if not any(map(shutil.which, _COMPILERS)):
        return "there is no C++ compiler"
    if device == CUDA and find_spec("triton") is None:
        return "the package triton is missing"
    return ""


def pays_channels_last(precision: str, device: str) -> bool:
    """Whether maps are to have their channels last unless a run is told otherwise: for convolutions in half precision.

    Processors have none in float16, and float32 keeps its bits.

    Args:
        precision: a name of `edgebll.learning.PRECISIONS`.
        device: CPU or CUDA.
    """
    return precision == "bfloat16" or (precision == "mixed" and device == CUDA)


@dataclass(frozen=True)
class TensorPlacement:
    """Where tensors of a run lie.

    Attributes:
        device: of all of them.
        channels_last: whether maps (B, C, H, W) and kernels have their channels side by side in memory, which
            half-precision convolutions want; shapes, names and files are the same either way.
        fetch_steps: metrics are fetched at least every so many steps.
    """

    device: torch.device
    channels_last: bool = False
    fetch_steps: int = 1

    @classmethod
    def on(cls, device: str, channels_last: bool | None = False) -> TensorPlacement:
        """That of a device that `resolve_device` returned; None, as in a run that was never begun, is False."""
        return cls(torch.device(device), bool(channels_last), 1 if device == CPU else _GPU_FETCH_STEPS)

    def put(self, value: Tensor) -> Tensor:
        """The tensor as it lies here; itself where it already does."""
        value = value.to(self.device)
        return self.laid_out(value)

    def laid_out(self, value: Tensor) -> Tensor:
        """A tensor of the device with its channels where they belong."""
        if self.channels_last and value.ndim == _MAPS:
            return value.contiguous(memory_format=torch.channels_last)
        return value

    def put_all(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named tensors as they lie here."""
        return {name: self.put(value) for name, value in tensors.items()}

    def put_constants(self, steps: Iterable[BlockStep]) -> None:
        """Let what is frozen in blocks lie here, too."""
        for module in (module for step in steps for module in step.modules):
            module.place(self.put)

    def put_waiting(self, waiting: Waiting | None) -> Waiting | None:
        """What waits on side streams as it lies here."""
        if waiting is None:
            return None
        return {
            target: {source: [self.put_all(token) for token in tokens] for source, tokens in sources.items()}
            for target, sources in waiting.items()
        }


@contextlib.contextmanager
def torch_settings(device: torch.device, threads: int, *, exact: bool) -> Iterator[None]:
    """PyTorch's own settings, for the length of a `with`; afterwards they are as before.

    Args:
        device: that computes.
        threads: on the processor.
        exact: whether a GPU's float32 products are float32's; otherwise it may round their factors to 10 bits (TF32), for
            precisions whose other products are no finer.
    """
    cudnn, before = torch.backends.cudnn, torch.get_num_threads()
    cudnn_before, products_before = (cudnn.benchmark, cudnn.allow_tf32), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads)
    if device.type == CUDA:
        cudnn.benchmark, cudnn.allow_tf32 = True, not exact  # shapes never change, so the search for algorithms pays
        torch.set_float32_matmul_precision("highest" if exact else "high")
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if device.type == CUDA:
            cudnn.benchmark, cudnn.allow_tf32 = cudnn_before
            torch.set_float32_matmul_precision(products_before)
