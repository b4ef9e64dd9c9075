"""Training steps on a microcontroller: instructions a sample, memory for data and for programs, beside what others publish.

    python bench/microcontroller.py            (make bench-mcu; a minute; needs what `make mcu-tools` installs)

An emulated Cortex-M4F (mps2-an386), the compiler that Debian has: every figure comes out the same again. They go to
bench/RESULTS.md, by way of bench/microcontroller.md, and to bench/microcontroller.json, to which
tests/builds/test_microcontroller_figures.py holds the code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from results import table, write_section
from support.microcontroller_tools import advice, missing_packages
from support.step_costs import CASES, StepCost, firmware_bytes, measure, runtime_bytes, tools

FIGURES, TEXT = Path(__file__).with_suffix(".json"), Path(__file__).with_suffix(".md")
HEADER = ("network", "rule", "instructions", "state", "arena", "alive at once", "beside the state", "plan of the step")


def row(case: tuple[str, str, str], cost: StepCost, scratch: int) -> tuple[str, ...]:
    """One line of the table.

    Args:
        case: network, rule and optimiser.
        cost: of a sample.
        scratch: of the runtime, in bytes.
    """
    beside = cost.arena_bytes + scratch + cost.stack_bytes
    numbers = (cost.instructions, cost.state_bytes, cost.arena_bytes, cost.lower_bound_bytes, beside, cost.plan_bytes)
    return (case[0], f"{case[1]}, {case[2]}", *(f"{number:,}" for number in numbers))


def goals(costs: Mapping[tuple[str, str, str], StepCost], sizes: Mapping[str, int]) -> str:
    """What was set as a goal, and whether it is met.

    Args:
        costs: by case.
        sizes: as of `report`.
    """
    found = {
        "the MLP at most 60,000 instructions a sample by backpropagation with plain SGD": costs[CASES[0]].instructions
        <= 60_000,
        "every arena within 5 % of what is alive at once": all(
            cost.arena_bytes <= 1.05 * cost.lower_bound_bytes for cost in costs.values()
        ),
        "the runtime at most 8 KiB of flash": sizes["runtime_flash"] <= 8 << 10,
        "the firmware at most 16 KiB": sizes["firmware_flash"] <= 16 << 10,
    }
    return "; ".join(f"{goal}: {'met' if met else 'not met'}" for goal, met in found.items())


def report(costs: Mapping[tuple[str, str, str], StepCost], sizes: Mapping[str, int], made: str) -> str:
    """The section of RESULTS.md.

    Args:
        costs: by case.
        sizes: runtime_flash, scratch, firmware_flash and firmware_ram, in bytes.
        made: compiler and emulator.
    """
    steps = table(HEADER, [row(case, cost, sizes["scratch"]) for case, cost in costs.items()])
    words = {name: f"{size:,}" for name, size in sizes.items()}
    return TEXT.read_text("utf-8").format(tools=made, steps=steps, goals=goals(costs, sizes), **words)


def main() -> int:
    """Measure and write."""
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)
        return 1
    costs = {}
    for case in CASES:
        costs[case] = measure(*case)
        print(*case, costs[case], flush=True)
    (runtime, scratch), (flash, ram), made = runtime_bytes(), firmware_bytes(), tools()
    sizes = {"runtime_flash": runtime, "scratch": scratch, "firmware_flash": flash, "firmware_ram": ram}
    print(sizes)
    write_section("microcontroller", report(costs, sizes, made))
    figures = {"-".join(case): asdict(cost) for case, cost in costs.items()}
    FIGURES.write_text(json.dumps({"tools": made, "sizes": sizes, "steps": figures}, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
