"""Figures of microcontrollers in bench/RESULTS.md are those of the code, within 2 %; `make bench-mcu` writes them anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.convolution_forms import FORMS, instructions_per_product
from support.documents import ROOT
from support.emulated_boards import CORES
from support.microcontroller_tools import emulated_boards
from support.step_costs import firmware_bytes, measure, profile_flags, runtime_bytes, tools

from edgebll.kernel.spec.firmware_profiles import PROFILES

pytestmark = emulated_boards()
BAR = 0.02
RECORDED: dict[str, Any] = json.loads((ROOT / "bench" / "microcontroller.json").read_text("utf-8"))


def same_tools() -> None:
    """Another compiler counts otherwise."""
    here = tools()
    if here != RECORDED["tools"]:
        pytest.skip(f"the figures were taken with {RECORDED['tools']}, and this machine has {here}: make bench-mcu")


@pytest.mark.parametrize("case", ["mlp-backprop-SGD", "mlp-bll-momentum", "lenet-bll-SGD"])
def test_a_step_costs_what_is_recorded(case: str) -> None:
    same_tools()
    network, rule, optimizer = case.split("-")
    for profile, cost in measure(network, rule, optimizer).items():
        assert vars(cost) == pytest.approx(RECORDED["steps"][case][profile], rel=BAR), profile


@pytest.mark.parametrize("form", ["3 x 3, depthwise", "3 x 3, strided, transposed"])
def test_a_convolution_costs_what_is_recorded(form: str) -> None:
    same_tools()
    for profile in PROFILES:
        found = instructions_per_product(FORMS[form], flags=profile_flags(profile))
        assert found == pytest.approx(RECORDED["forms"][form][profile], rel=BAR), profile


def test_vectors_of_a_cortex_m55_pay() -> None:
    form, fast = FORMS["3 x 3, 16 to 16 channels"], profile_flags("fast")
    scalar = replace(CORES["M55"], cpu=("-mcpu=cortex-m55+nomve", "-mfloat-abi=hard"))
    assert instructions_per_product(form, CORES["M55"], fast) < 0.75 * instructions_per_product(form, scalar, fast)


def test_memory_is_within_a_twentieth_of_what_is_alive_at_once() -> None:
    for case, costs in RECORDED["steps"].items():
        for cost in costs.values():
            assert cost["arena_bytes"] <= 1.05 * cost["lower_bound_bytes"], case


@pytest.mark.parametrize("profile", PROFILES)
def test_runtime_and_firmware_have_the_recorded_sizes(profile: str) -> None:
    same_tools()
    sizes = RECORDED["sizes"][profile]
    assert runtime_bytes(profile)[0] == pytest.approx(sizes["runtime_flash"], rel=BAR)
    assert firmware_bytes(profile) == pytest.approx((sizes["firmware_flash"], sizes["firmware_ram"]), rel=BAR)
    if "int8_flash" in sizes:
        assert firmware_bytes(profile, int8=True)[0] == pytest.approx(sizes["int8_flash"], rel=BAR)


def test_goals_are_kept() -> None:
    assert RECORDED["sizes"]["small"]["runtime_flash"] <= 8 << 10
    assert RECORDED["sizes"]["exact"]["firmware_flash"] <= 16 << 10
    assert max(form[profile] for form in RECORDED["forms"].values() for profile in ("exact", "fast")) <= 8


def test_the_table_has_the_recorded_figures() -> None:
    section = (ROOT / "bench" / "RESULTS.md").read_text("utf-8").split("<!-- begin microcontroller -->")[1].split("<!-- end")[0]
    for costs in RECORDED["steps"].values():
        counts = " | ".join(f"{costs[profile]['instructions']:,}" for profile in PROFILES)
        assert f"| {counts} | {costs['exact']['state_bytes']:,} | {costs['exact']['arena_bytes']:,} |" in section
    assert f"With int8 (`--int8`) the firmware takes {RECORDED['sizes']['exact']['int8_flash']:,} bytes" in section
    for form, counts in RECORDED["forms"].items():
        assert f"| {form} | {FORMS[form].products():,} | " + " | ".join(f"{counts[each]:.1f}" for each in PROFILES) in section
    for profile in PROFILES:
        sizes = RECORDED["sizes"][profile]
        assert f"| {sizes['runtime_flash']:,} | {sizes['firmware_flash']:,} |" in section


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_the_table_has_the_figures_of_the_peer(network: str) -> None:
    section = (ROOT / "bench" / "RESULTS.md").read_text("utf-8").split("<!-- begin microcontroller -->")[1].split("<!-- end")[0]
    peer = json.loads((ROOT / "bench" / "aifes.json").read_text("utf-8"))["steps"]
    theirs = [peer[f"{network}-{optimizer}"] for optimizer in ("SGD", "momentum")]
    memory = [cost["weight_bytes"] + cost["training_bytes"] for cost in theirs]
    counts = " | ".join(f"{number:,}" for number in (*(cost["instructions"] for cost in theirs), *memory))
    assert f"| {network} | AIfES | {counts} |" in section
    ours = [RECORDED["steps"][f"{network}-backprop-{optimizer}"]["exact"] for optimizer in ("SGD", "momentum")]
    memory = [cost["state_bytes"] + cost["arena_bytes"] for cost in ours]
    counts = " | ".join(f"{number:,}" for number in (*(cost["instructions"] for cost in ours), *memory))
    assert f"| {network} | edgebll, exact | {counts} |" in section
    assert all(cost["softmax_error"] < 0.08 for cost in theirs)
