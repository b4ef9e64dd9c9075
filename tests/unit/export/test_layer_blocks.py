"""Blocks of the layers that people use: six steps of the exported graph are six steps of plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.layer_blocks import BLOCKS
from support.plain_training import TOLERANCE, error_of, normal
from support.swin_v2 import SwinV2Block


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", list(BLOCKS))
def test_six_steps_are_those_of_pytorch(name: str, tmp_path: Path) -> None:
    make_block, shape = BLOCKS[name]
    assert error_of(make_block, tmp_path, normal(*shape)) < TOLERANCE


def test_six_steps_of_a_swin_v2_block_are_those_of_pytorch(tmp_path: Path) -> None:
    assert error_of(SwinV2Block, tmp_path, normal(4, 4, 8)) < TOLERANCE
