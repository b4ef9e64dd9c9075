"""A short run of the fuzzer of plans; `make fuzz-mcu` runs it for as long as one likes."""

from __future__ import annotations

import re

import pytest
from soak.plan_fuzzer import fuzz

from edgebll.kernel.spec.firmware_profiles import PROFILES
from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_no_changed_plan_leaves_its_memory(profile: str) -> None:
    tried, ran = map(int, re.findall(r"\d+", fuzz(1, 7, *PROFILE_FLAGS[profile])))
    assert tried >= 20_000
    assert ran > 1_000
