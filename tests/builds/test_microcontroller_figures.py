"""Figures of microcontrollers in bench/RESULTS.md are those of the code, within 2 %; `make bench-mcu` writes them anew."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.documents import ROOT
from support.microcontroller_tools import emulated_boards
from support.step_costs import firmware_bytes, measure, runtime_bytes, tools

pytestmark = emulated_boards()
BAR = 0.02
RECORDED: dict[str, Any] = json.loads((ROOT / "bench" / "microcontroller.json").read_text("utf-8"))
FIRMWARE_GOAL = 16 << 10


def same_tools() -> None:
    """Another compiler counts otherwise."""
    here = tools()
    if here != RECORDED["tools"]:
        pytest.skip(f"the figures were taken with {RECORDED['tools']}, and this machine has {here}: make bench-mcu")


@pytest.mark.parametrize("case", ["mlp-backprop-SGD", "mlp-bll-momentum", "lenet-bll-SGD"])
def test_a_step_costs_what_is_recorded(case: str) -> None:
    same_tools()
    network, rule, optimizer = case.split("-")
    cost = measure(network, rule, optimizer)
    assert vars(cost) == pytest.approx(RECORDED["steps"][case], rel=BAR)


def test_memory_is_within_a_twentieth_of_what_is_alive_at_once() -> None:
    for case, cost in RECORDED["steps"].items():
        assert cost["arena_bytes"] <= 1.05 * cost["lower_bound_bytes"], case


def test_runtime_and_firmware_have_the_recorded_sizes() -> None:
    same_tools()
    sizes = RECORDED["sizes"]
    assert runtime_bytes()[0] == pytest.approx(sizes["runtime_flash"], rel=BAR)
    assert firmware_bytes() == pytest.approx((sizes["firmware_flash"], sizes["firmware_ram"]), rel=BAR)
    assert sizes["firmware_flash"] <= FIRMWARE_GOAL


def test_the_table_has_the_recorded_figures() -> None:
    section = (ROOT / "bench" / "RESULTS.md").read_text("utf-8").split("<!-- begin microcontroller -->")[1].split("<!-- end")[0]
    for cost in RECORDED["steps"].values():
        assert f"| {cost['instructions']:,} | {cost['state_bytes']:,} | {cost['arena_bytes']:,} |" in section
    assert f"{RECORDED['sizes']['runtime_flash']:,} bytes of flash" in section
