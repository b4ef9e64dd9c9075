"""New random modules for as long as it is told: RANDOM_MODULES_MINUTES=10 pytest -s tests/soak/random_modules.py; 5 by default.

A module on which graph and PyTorch differ is shrunk and printed as a sketch: an example for tests/property/test_modules.py.
"""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from support.module_agreement import check_agreement
from support.random_modules import SKETCHES, ModuleSketch

MINUTES = float(os.environ.get("RANDOM_MODULES_MINUTES", "5"))


@pytest.mark.timeout(60 * MINUTES + 1800)
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_graph_function_and_plain_pytorch_agree() -> None:
    end, tried = time.monotonic() + 60 * MINUTES, 0

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(sketch=SKETCHES)
    def agree(sketch: ModuleSketch) -> None:
        nonlocal tried
        tried += 1
        assume(check_agreement(sketch))

    while time.monotonic() < end:
        agree()
    print(f"{tried} modules")
