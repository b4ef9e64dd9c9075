"""Complex numbers and Fourier transforms: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import to_model
from support.lowering_cases import Case, check_case
from torch import Tensor

from edgebll.kernel.errors import ExportError


def z(x: Tensor) -> Tensor:
    """A complex tensor of real ones (..., 2); PyTorch has hardly any complex kernels in half precision."""
    return torch.view_as_complex(wide(x).contiguous())


def wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def r(x: Tensor) -> Tensor:
    return torch.view_as_real(x)


def spectrum(x: Tensor, **options: object) -> Tensor:
    window = torch.hann_window(8, dtype=wide(x).dtype)
    return r(torch.stft(wide(x), 8, 3, window=window, return_complex=True, **options))  # type: ignore[arg-type]


def and_back(x: Tensor, **options: object) -> Tensor:
    window = torch.hann_window(8, dtype=wide(x).dtype)
    bins = torch.stft(wide(x), 8, 2, window=window, return_complex=True)
    return torch.istft(bins * bins.abs(), 8, 2, window=window, **options)  # type: ignore[arg-type]


def written(x: Tensor, w: Tensor) -> Tensor:
    """A layer of a Fourier neural operator."""
    bins = torch.fft.rfft(wide(x))
    out = torch.zeros(3, 5, dtype=bins.dtype)
    out[:, :3] = bins[:, :3] * z(w)
    return torch.fft.irfft(out, n=8)


P, Q = (3, 4, 2), (3, 4, 2)
PLACES = torch.tensor([2, 0, 2])
CASES: dict[str, Case] = {
    **{f"fft_{n}": (lambda x, n=n: r(torch.fft.fft(wide(x), norm=n)), [(3, 6)]) for n in ("backward", "ortho", "forward")},
    "ifft": (lambda x: r(torch.fft.ifft(z(x))), [P]),
    "rfft": (lambda x: r(torch.fft.rfft(wide(x), dim=0)), [(7, 3)]),
    "irfft": (lambda x: torch.fft.irfft(z(x)), [P]),
    "irfft_odd": (lambda x: torch.fft.irfft(z(x), 7, norm="ortho"), [P]),
    "rfft2_and_back": (lambda x: torch.fft.irfft2(torch.fft.rfft2(wide(x)) * 0.5j, s=(4, 5)), [(2, 4, 5)]),
    "fft2_moved": (lambda x: torch.fft.fftshift(torch.fft.fft2(wide(x))).abs(), [(2, 4, 3)]),
    "hfft": (lambda x: torch.fft.hfft(z(x)), [P]),
    "ihfft": (lambda x: torch.fft.ihfft(wide(x)).imag * 1, [(3, 6)]),
    "stft": (lambda x: spectrum(x), [(2, 20)]),
    "stft_without_padding": (lambda x: spectrum(x, center=False, normalized=True), [(20,)]),
    "istft": (lambda x: and_back(x), [(2, 20)]),
    "istft_of_length": (lambda x: and_back(x, length=18), [(20,)]),
    "fourier_layer": (written, [(3, 8), (3, 3, 2)]),
    "products": (lambda x, y: r(z(x) * z(y) * 2.0 * (1 + 2j)), [P, Q]),
    "products_with_real": (lambda x, y: r(z(x) * wide(y) * 3), [P, (3, 4)]),
    "quotients": (lambda x, y: r(z(x) / z(y) / 2 / y.new_tensor(3.0) + 1 / z(y)), [P, Q]),
    "sums": (lambda x, y: r((z(x) + wide(y) - 2j) - z(x) * 3 + (1 - z(x)) + (2j - z(x))), [P, (3, 4)]),
    "absolute": (lambda x: z(x).abs() * z(x).angle(), [P]),
    "angles": (lambda x: z(x).angle(), [torch.tensor([[0.0, 1.0], [0, -2], [-1, 0.5], [-1, -0.5], [2, 1]])]),
    "sign": (lambda x: r(z(x).sgn() * z(x).exp()), [P]),
    "conjugates": (lambda x, y: r(z(x).conj() * z(y).conj().resolve_conj() + torch.conj_physical(z(x))), [P, Q]),
    "powers": (lambda x: r(z(x).pow(2) + z(x) ** 3), [P]),
    "polar": (lambda x, y: r(torch.polar(wide(x), wide(y)) * torch.complex(wide(x), wide(y))), [(3, 4), (3, 4)]),
    "converted": (lambda x: r(wide(x).to(torch.complex128 if x.dtype == torch.float64 else torch.complex64) * 1j), [(3, 4)]),
    "parts": (lambda x: z(x).real * z(x).imag + (-z(x)).imag, [P]),
    "matrices": (lambda x, y: r(z(x) @ z(y).T), [P, Q]),
    "batches": (lambda x, y: r(z(x) @ z(y).mT.conj()), [(2, 3, 4, 2), (2, 3, 4, 2)]),
    "vectors": (lambda x, y: r((z(x) @ z(y)[0]).dot(z(y)[:, 0]) * torch.ones(2)), [P, Q]),
    "reductions": (lambda x: r(z(x).sum(0) + z(x).mean(0) + z(x).sum() + z(x).mean() + z(x)[0].cumsum(0)), [P]),
    "views": (lambda x: r(z(x).reshape(2, 6).t().unsqueeze(1).squeeze(1).permute(1, 0).flip(0).roll(1).transpose(0, 1)), [P]),
    "squeezes": (lambda x: r(z(x)[:1, None].squeeze((0, 1)).squeeze().clone()), [P]),
    "repeats": (lambda x: r(z(x)[0].expand(3, 4)[1].repeat(2).detach() * x.sum()), [P]),
    "joins": (lambda x: r(torch.cat([z(x), torch.stack(z(x).split(2, 1)[0].unbind(0))], 1)), [P]),
    "splits": (lambda x: r(z(x).split([1, 3], 1)[1] * 2), [P]),
    "picks": (lambda x: r(z(x)[PLACES] + z(x).index_select(0, PLACES) + z(x).gather(0, PLACES[:, None].expand(3, 4))), [P]),
    "puts": (lambda x: r(z(x).index_put((PLACES[:2],), z(x)[:2] * 2) + z(x).index_add(0, PLACES, z(x))), [P]),
    "choices": (lambda x: r(torch.where(wide(x)[..., 0] > 0, z(x), 2 * z(x)).masked_fill(wide(x)[..., 1] > 0, 0.5)), [P]),
    "diagonals": (lambda x: r(z(x).diagonal() * torch.nn.functional.pad(z(x), (1, 1))[:, 0]), [P]),
    "windows": (lambda x: r(z(x).unfold(1, 2, 1)), [P]),
    "writes": (lambda x: r(assigned(z(x))), [P]),
}  # fmt: skip


def assigned(x: Tensor) -> Tensor:
    y = x.clone()
    y[0] = x[1] * 2
    y[:, 1::2] = x[:, :2]
    y[1, 1].fill_(3.0)
    return y


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_complex_results_and_unknown_operators_are_refused() -> None:
    with pytest.raises(ExportError, match=r"aten.log.default on complex numbers in"):
        to_model(lambda x: (torch.fft.rfft(x).log().abs(),), [torch.zeros(4)])
    with pytest.raises(ExportError, match=r"the output o0 is complex; return torch.view_as_real"):
        to_model(lambda x: (torch.fft.rfft(x),), [torch.zeros(4)])
    with pytest.raises(ExportError, match="a Fourier transform of 5000 points is too long"):
        to_model(lambda x: (torch.fft.rfft(x).abs(),), [torch.zeros(5000)])
