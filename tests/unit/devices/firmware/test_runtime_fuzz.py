"""A short run of the fuzzer of plans; `make fuzz-mcu` runs it for as long as one likes."""

from __future__ import annotations

import re

import pytest
from soak.plan_fuzzer import fuzz


@pytest.mark.slow
def test_no_changed_plan_leaves_its_memory() -> None:
    tried, ran = map(int, re.findall(r"\d+", fuzz(1, 7)))
    assert tried >= 20_000
    assert ran > 1_000
