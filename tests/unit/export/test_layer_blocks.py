"""Blocks of the layers that people use: six steps of the exported graph are six steps of plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.layer_blocks import BLOCKS
from support.plain_training import TOLERANCE, error_of, normal
from support.slow import slow_after
from support.swin_v2 import SwinV2Block
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning import SGD, Greedy, make_steps
from edgebll.learning.networks import BlockNetwork

#: What others of these stand for, or what takes a second each.
_SECONDS = {name for name in BLOCKS if "lstm" in name or "orthogonal" in name or "fake" in name or "bags" in name} | {
    *("gru", "rnn", "ctc", "stft", "spectral norm"),
} - {"lstm"}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", slow_after(len(BLOCKS) - len(_SECONDS), sorted(BLOCKS, key=_SECONDS.__contains__)))
def test_six_steps_are_those_of_pytorch(name: str, tmp_path: Path) -> None:
    make_block, shape = BLOCKS[name]
    assert error_of(make_block, tmp_path, normal(*shape)) < TOLERANCE


@pytest.mark.slow
def test_six_steps_of_a_swin_v2_block_are_those_of_pytorch(tmp_path: Path) -> None:
    assert error_of(SwinV2Block, tmp_path, normal(4, 4, 8)) < TOLERANCE


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("name", ["spectral_norm", "weight_norm"])
def test_norms_of_weights_that_pytorch_replaced_are_refused(name: str) -> None:
    block = nn.Sequential(getattr(nn.utils, name)(nn.Linear(6, 8)), nn.Tanh())
    with pytest.raises(ConfigError, match=rf"block0: layer '0' has torch.nn.utils.{name}, .*take .*parametrizations.{name}"):
        make_steps(BlockNetwork([block, nn.Linear(8, 3)], num_classes=3, input_shape=(6,)), Greedy(), SGD(), 2)
