"""What skipping silent inputs gives on a microcontroller: the table of the documentation has the figures of the code."""

from __future__ import annotations

import re

import pytest
from support.documents import ROOT
from support.microcontroller_tools import emulated_boards
from support.sparse_plans import ALWAYS, LAYERS, SPARSE, instructions

pytestmark = emulated_boards()
PAGE = (ROOT / "docs" / "explanation" / "microcontrollers.md").read_text("utf-8")
RATES = ("100 %", "50 %", "20 %", "10 %", "5 %", "1 %")
BAR = 0.02


def row(layer: str) -> list[int]:
    """A layer's figures on the page: without skipping, then by rate."""
    (cells,) = re.findall(rf"^\| {re.escape(layer)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [int(cell.replace(",", "")) for cell in cells.split("|")]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_table_has_the_figures_of_the_code(layer: str) -> None:
    assert "| without skipping | " + " | ".join(RATES) + " |" in PAGE
    (plan, inputs), (always, *by_rate) = LAYERS[layer], row(layer)
    assert instructions(plan, inputs, 0.1, ALWAYS) == pytest.approx(always, rel=BAR)
    for rate, found in list(zip(RATES, by_rate, strict=True))[1::4]:
        assert instructions(plan, inputs, int(rate.split()[0]) / 100, SPARSE) == pytest.approx(found, rel=BAR), rate
    assert by_rate == sorted(by_rate, reverse=True)
    assert by_rate[4] * 3 < always
