"""What no graph can do is refused in one sentence with the layer, the user's own line, and the cure."""

from __future__ import annotations

import inspect
import logging
import sys
from pathlib import Path

import pytest
import torch
from support.plain_training import export
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver
from torch.nn import functional as F

from edgebll.kernel.errors import ExportError
from edgebll.learning.networks import BlockNetwork


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x
        return 2 * x


class Reads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.detach().mean().item()


class Lists(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.detach().tolist()[0][0]


class Leaves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * float(x.detach().numpy().mean())


class Prints(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        print(float(x.detach().mean()))
        return x


class Counts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(x.detach().argmax() % 2):
            x = 2 * x
        return x


class Asserts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.isfinite().all()
        return x


class Compares(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if torch.equal(x, x + 1) else 2 * x


class Picks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x[x > 0].sum()


class Selects(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.masked_select(x, x > 0).sum()


class Finds(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.detach().nonzero().shape[0]


class Factorises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.linalg.svd(x.t() @ x).Vh


class Renormalises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(4, 6, max_norm=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bag((x > 0).long())


class Frames(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * F.one_hot((x[:, :1] > 0).long().flatten()).sum()


VALUE = r"needs the value of a tensor while it is traced \(layer '1', in {line}\); use torch.where, or pass a Python number"
CASES: dict[type[nn.Module], tuple[int, str]] = {
    Branches: (1, VALUE),
    Reads: (1, VALUE),
    Lists: (1, VALUE),
    Leaves: (1, VALUE),
    Prints: (1, VALUE),
    Counts: (1, VALUE),
    Asserts: (1, VALUE),
    Compares: (1, VALUE),
    Picks: (1, r"indexing by a truth mask has a shape that depends on the data; use torch.where .*layer '1', in {line}"),
    Selects: (1, r"masked_select.default in layer '1', in {line} makes a shape that depends on the data; .*use torch.where"),
    Finds: (1, r"nonzero.default in layer '1', in {line} makes a shape that depends on the data"),
    Factorises: (1, r"_linalg_svd.default in layer '1', in {line} has no lowering to ONNX; replace it"),
    Renormalises: (1, r"embedding_bag with max_norm or scale_grad_by_freq has no static form.*\(layer '1.bag', in {line}\)"),
    Frames: (1, r"one_hot needs the number of classes.*pass num_classes \(layer '1', in {line}\)"),
}


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad", "ignore:.*torch.searchsorted")
@pytest.mark.parametrize("kind", CASES)
def test_it_names_the_line(kind: type[nn.Module], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    offset, sentence = CASES[kind]
    first = inspect.getsourcelines(kind.forward)[1]
    line = rf"{kind.__name__}.forward, line {first + offset} of test_user_lines.py"
    with pytest.raises(ExportError, match=sentence.format(line=line)) as caught:
        export_block(nn.Sequential(nn.Linear(6, 6), kind()), tmp_path)
    assert str(caught.value).startswith("block0/forward")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def export_block(block: nn.Module, folder: Path) -> None:
    export(BlockNetwork([block, nn.Linear(6, 3)], num_classes=3, input_shape=(6,)), folder / "bundle")


def test_the_line_is_that_of_the_function_a_forward_calls(tmp_path: Path) -> None:
    def helper(x: Tensor) -> Tensor:
        return x * x.detach().mean().item()

    class Calls(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return helper(x)

    line = inspect.getsourcelines(helper)[1] + 1
    with pytest.raises(ExportError, match=rf"layer '1', line {line} of test_user_lines.py"):
        export_block(nn.Sequential(nn.Linear(6, 6), Calls()), tmp_path)


def test_networks_without_code_of_their_own_name_the_layer_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebll_export.lowering_registry import LOWERINGS

    monkeypatch.delitem(LOWERINGS, "aten.gelu.default")
    with pytest.raises(ExportError, match=r"aten.gelu.default in layer '1' has no lowering"):
        export_block(nn.Sequential(nn.Linear(6, 6), nn.GELU()), tmp_path)


def test_quantisation_that_branches_on_flags_has_a_cure_of_its_own(tmp_path: Path) -> None:
    grid = FakeQuantize(observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=255)
    with pytest.raises(ExportError, match=r"needs the value of a tensor .*layer '1'\); take .*FusedMovingAvgObsFakeQuantize"):
        export_block(nn.Sequential(nn.Linear(6, 6), grid), tmp_path)


def test_tracebacks_that_pytorch_logs_are_held_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """PyTorch logs a traceback, and raises, where the function that tells an operator's shapes fails."""
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("torch").addHandler(handler)
    try:
        with pytest.raises(ExportError, match=r"block0/forward cannot be traced: .*by its author \(layer '1', line \d+ of"):
            export_block(nn.Sequential(nn.Linear(6, 6), Odd()), tmp_path)
    finally:
        logging.getLogger("torch").removeHandler(handler)
    assert capfd.readouterr().err == ""


def _unknown_shape(x: Tensor) -> Tensor:
    raise RuntimeError("shapes are not told by its author")


LIBRARY = torch.library.Library("edgebll_tests", "DEF")
LIBRARY.define("odd(Tensor x) -> Tensor")
LIBRARY.impl("odd", lambda x: x.clone(), "CPU")
LIBRARY.impl("odd", _unknown_shape, "Meta")
torch.library.register_autograd("edgebll_tests::odd", lambda ctx, grad: grad, lib=LIBRARY)


class Odd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.edgebll_tests.odd(x)
        return y
