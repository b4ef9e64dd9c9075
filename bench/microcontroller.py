"""Training steps on a microcontroller: instructions a sample, memory for data and for programs, beside what others publish.

    python bench/microcontroller.py            (make bench-mcu; two minutes; needs what `make mcu-tools` installs)

An emulated Cortex-M4F (mps2-an386), the compiler that Debian has: every figure comes out the same again. They go to
bench/RESULTS.md, by way of bench/microcontroller.md, and to bench/microcontroller.json, to which
tests/builds/test_microcontroller_figures.py holds the code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from results import table, write_section
from support.convolution_forms import FORMS, instructions_per_product
from support.microcontroller_tools import advice, missing_packages
from support.step_costs import CASES, MOMENTA, StepCost, firmware_bytes, measure, profile_flags, runtime_bytes, tools

from edgebll.kernel.spec.firmware_profiles import EXACT, FAST, PROFILES, SMALL

FIGURES, TEXT = Path(__file__).with_suffix(".json"), Path(__file__).with_suffix(".md")
HEADER = ("network", "rule", *PROFILES, "state", "arena", "alive at once", "beside the state", "plan of the step")
#: What bench/aifes.py measured last.
PEER = Path(__file__).with_name("aifes.json")
PEER_NETWORKS = ("mlp", "cnn")
PEER_HEADER = ("network", "trained by", "instructions, SGD", "momentum", "RAM, SGD", "momentum", "flash, runtime", "program")
#: Instructions for each product of a convolution, at most.
PRODUCT_GOAL = 8.0
Case = tuple[str, str, str]


@dataclass(frozen=True)
class Figures:
    """What was measured, each of the three by profile.

    Args:
        steps: costs of a sample, by case.
        forms: instructions for each product, by form of convolution.
        sizes: runtime_flash, scratch, firmware_flash, firmware_ram and, of firmware that runs int8, int8_flash, in bytes.
    """

    steps: dict[Case, dict[str, StepCost]]
    forms: dict[str, dict[str, float]]
    sizes: dict[str, dict[str, int]]


def row(case: Case, costs: Mapping[str, StepCost], scratch: int) -> tuple[str, ...]:
    """One line of the table of steps.

    Args:
        case: network, rule and optimiser.
        costs: of a sample, by profile.
        scratch: of the runtime, in bytes.
    """
    cost = costs[EXACT]
    beside = cost.arena_bytes + scratch + cost.stack_bytes
    numbers = [costs[profile].instructions for profile in PROFILES]
    numbers += [cost.state_bytes, cost.arena_bytes, cost.lower_bound_bytes, beside, cost.plan_bytes]
    return (case[0], f"{case[1]}, {case[2]}", *(f"{number:,}" for number in numbers))


def form_row(name: str, products: Mapping[str, float]) -> tuple[str, ...]:
    """One line of the table of convolutions."""
    return (name, f"{FORMS[name].products():,}", *(f"{products[profile]:.1f}" for profile in PROFILES))


def peer_rows(network: str, found: Figures) -> list[tuple[str, ...]]:
    """Lines of the table beside AIfES: backpropagation by each profile, and by AIfES.

    Args:
        network: which is measured with both optimisers.
        found: the figures.
    """
    rows = []
    for profile in PROFILES:
        costs = [found.steps[network, "backprop", optimizer][profile] for optimizer in MOMENTA]
        memory = [cost.state_bytes + cost.arena_bytes for cost in costs]
        sizes = found.sizes[profile]
        numbers = [*(cost.instructions for cost in costs), *memory, sizes["runtime_flash"], sizes["firmware_flash"]]
        rows.append((network, f"edgebll, {profile}", *(f"{number:,}" for number in numbers)))
    theirs = [json.loads(PEER.read_text("utf-8"))["steps"][f"{network}-{optimizer}"] for optimizer in MOMENTA]
    numbers = [cost["instructions"] for cost in theirs] + [cost["weight_bytes"] + cost["training_bytes"] for cost in theirs]
    flash = f"{theirs[0]['flash_bytes']:,}"
    return [*rows, (network, "AIfES", *(f"{number:,}" for number in numbers), "", flash)]


def goals(found: Figures) -> str:
    """What was set as a goal, and whether it is met."""
    exact, every = [costs[EXACT] for costs in found.steps.values()], found.forms.values()
    met = {
        "the MLP at most 60,000 instructions a sample by backpropagation with plain SGD": exact[0].instructions <= 60_000,
        "every arena within 5 % of what is alive at once": all(
            cost.arena_bytes <= 1.05 * cost.lower_bound_bytes for cost in exact
        ),
        "the small runtime at most 8 KiB of flash": found.sizes[SMALL]["runtime_flash"] <= 8 << 10,
        "the exact firmware at most 16 KiB": found.sizes[EXACT]["firmware_flash"] <= 16 << 10,
    }
    for profile in (FAST, EXACT):
        goal = f"every convolution in the {profile} profile at most {PRODUCT_GOAL:.0f} instructions a product"
        met[goal] = all(form[profile] <= PRODUCT_GOAL for form in every)
    return "; ".join(f"{goal}: {'met' if reached else 'not met'}" for goal, reached in met.items())


def report(found: Figures, made: str) -> str:
    """The section of RESULTS.md.

    Args:
        found: the figures.
        made: compiler and emulator.
    """
    exact = found.sizes[EXACT]
    steps = table(HEADER, [row(case, costs, exact["scratch"]) for case, costs in found.steps.items()])
    forms = table(("convolution", "products", *PROFILES), [form_row(name, form) for name, form in found.forms.items()])
    peers = table(PEER_HEADER, [row for network in PEER_NETWORKS for row in peer_rows(network, found)])
    words = {name: f"{size:,}" for name, size in exact.items()}
    return TEXT.read_text("utf-8").format(tools=made, steps=steps, forms=forms, peers=peers, goals=goals(found), **words)


def measured() -> Figures:
    """Measure everything."""
    found = Figures({}, {}, {})
    for profile in PROFILES:
        (runtime, scratch), (flash, ram) = runtime_bytes(profile), firmware_bytes(profile)
        found.sizes[profile] = {"runtime_flash": runtime, "scratch": scratch, "firmware_flash": flash, "firmware_ram": ram}
        if profile != SMALL:
            found.sizes[profile]["int8_flash"] = firmware_bytes(profile, int8=True)[0]
        print(profile, found.sizes[profile], flush=True)
    for name, form in FORMS.items():
        counts = {each: round(instructions_per_product(form, flags=profile_flags(each)), 2) for each in PROFILES}
        print(name, found.forms.setdefault(name, counts), flush=True)
    for case in CASES:
        found.steps[case] = measure(*case)
        print(*case, {profile: cost.instructions for profile, cost in found.steps[case].items()}, flush=True)
    return found


def main() -> int:
    """Measure and write."""
    if missing := missing_packages():
        print(advice(missing), file=sys.stderr)
        return 1
    found, made = measured(), tools()
    write_section("microcontroller", report(found, made))
    steps = {"-".join(case): {name: asdict(cost) for name, cost in costs.items()} for case, costs in found.steps.items()}
    figures = {"tools": made, "sizes": found.sizes, "forms": found.forms, "steps": steps}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
