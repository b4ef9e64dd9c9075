"""Short-time Fourier transforms by windows, a product and a transform, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """(..., T) to complex (..., bins, frames), or to real (..., bins, frames, 2)."""
    if center and align_to_window:
        raise ValueError("stft takes align_to_window only where center is False")
    hop, full = hop_length or n_fft // 4, _window(input, n_fft, win_length, window)
    signal = input if input.ndim > 1 else input.unsqueeze(0)
    if center:
        signal = F.pad(signal.unsqueeze(1), (n_fft // 2, n_fft // 2), pad_mode).squeeze(1)
    frames = signal.unfold(-1, n_fft, hop) * full
    whole = input.is_complex() or onesided is False
    norm = "ortho" if normalized else "backward"
    spectrum = (torch.fft.fft(frames, norm=norm) if whole else torch.fft.rfft(frames, norm=norm)).transpose(-1, -2)
    spectrum = spectrum if input.ndim > 1 else spectrum.squeeze(0)
    return torch.view_as_real(spectrum) if return_complex is False else spectrum


def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """Complex (..., bins, frames) to (..., T): frames times the window are added up and divided by the windows' squares."""
    hop = hop_length or n_fft // 4
    spectrum = input.transpose(-1, -2)
    full = _window(torch.view_as_real(spectrum), n_fft, win_length, window)
    norm = "ortho" if normalized else "backward"
    if return_complex:
        frames = torch.fft.ifft(spectrum, norm=norm)
    elif onesided is False:
        frames = torch.fft.ifft(spectrum, norm=norm).real
    else:
        frames = torch.fft.irfft(spectrum, n_fft, norm=norm)
    size = n_fft + hop * (frames.shape[-2] - 1)
    total = _added(frames * full, size, hop)
    weight = _added((full * full).expand(frames.shape[-2], n_fft), size, hop)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else size - start
    result = total[..., start:end] / weight[start:end]
    missing = 0 if length is None else length - result.shape[-1]
    return F.pad(result, (0, missing)) if missing > 0 else result


def _window(signal: Tensor, n_fft: int, win_length: int | None, window: Tensor | None) -> Tensor:
    """The window, or ones, with zeros on both sides up to n_fft."""
    length = win_length or n_fft
    values = torch.ones(length, dtype=signal.dtype if not signal.is_complex() else None) if window is None else window
    left = (n_fft - length) // 2
    return F.pad(values, (left, n_fft - length - left))


def _added(frames: Tensor, size: int, hop: int) -> Tensor:
    """Frames (..., n, n_fft) added up where they lie, (..., size): the adjoint of unfold."""
    shape = [*frames.shape[:-2], size]
    total: Tensor = torch.ops.aten.unfold_backward(frames, shape, frames.ndim - 2, frames.shape[-1], hop)
    return total
