"""What `edgebll plan` predicts of a placement: throughput and its limit, how busy boards are, energy, alternatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from edgebll_firmware_host.policy.best_placement import FoundPlacement, best_placement
from edgebll_firmware_host.policy.block_placement import Placement, place_among
from edgebll_firmware_host.policy.placement_value import PlacementValue, placement_value

if TYPE_CHECKING:
    from edgebll_firmware_host.inventory import BoardEntry
    from edgebll_firmware_host.policy.cost_model import CostModel
    from edgebll_firmware_host.policy.known_costs import KnownCosts
    from edgebll_firmware_host.policy.memory_fit import Room


def placed_by(costs: KnownCosts, boards: Sequence[BoardEntry], room: Room) -> Placement:
    """The placement that a run would begin with.

    Args:
        costs: what is known.
        boards: of the cluster.
        room: what memory they have.
    """
    work = costs.work
    return place_among(work.blocks, work.weights, boards, [board.name for board in boards], room, costs)


def prediction(costs: KnownCosts, boards: Sequence[BoardEntry], room: Room, placed: Placement) -> dict[str, Any]:
    """What a placement gives, for people and programs; times only where something says how long steps take.

    Args:
        costs: what is known.
        boards: of the cluster.
        room: what memory they have.
        placed: the placement.
    """
    model = costs.model(boards)
    value = placement_value(model, [placed.board_of(block) for block in model.work.blocks])
    found: dict[str, Any] = {"limited_by": value.limit, "basis": dict(model.basis), **_figures(model, value)}
    found["busy"] = {name: seconds / value.period if value.period else 0.0 for name, seconds in value.busy.items()}
    best = best_placement(model, boards, room, objective=costs.objective, usual=placed.blocks, runner_up=True)
    if best is not None and _same(best, placed):
        found["gap"] = best.gap
        if best.runner_up is not None and best.runner_up_blocks is not None:
            blocks = {name: list(hosted) for name, hosted in best.runner_up_blocks.items()}
            slower = best.runner_up.period / value.period - 1 if value.period else 0.0
            found["next_best"] = {"placement": blocks, "slower": slower, **_figures(model, best.runner_up)}
    return found


def _same(best: FoundPlacement, placed: Placement) -> bool:
    return dict(best.blocks) == dict(placed.blocks)


def _figures(model: CostModel, value: PlacementValue) -> dict[str, Any]:
    if not model.in_seconds:
        return {}
    found: dict[str, Any] = {"samples_per_second": model.work.batch_size / value.period}
    if value.joules is not None:
        found["joules_per_sample_estimated"] = value.joules / model.work.batch_size
    return found


#: What is told as no difference.
_AS_GOOD = 5e-4


def print_prediction(found: Mapping[str, Any], without: Mapping[str, Any] | None) -> None:
    """Sentences about a prediction.

    Args:
        found: of `prediction`.
        without: the same of the boards as they are, where the plan is of others.
    """
    busiest = f"{found['limited_by']} limits it"
    if "samples_per_second" in found:
        typer.echo(f"{_rate(found)}; {busiest}{_basis(found['basis'])}")
    else:
        typer.echo(f"{busiest}; nothing says how long steps take: calibrate the boards or --measure here")
    if found.get("gap"):
        typer.echo(f"another placement may be at most {100 * found['gap']:.1f} % better; not all were looked at")
    if "next_best" in found:
        other = found["next_best"]
        where = ", ".join(f"{name}: {' '.join(blocks)}" for name, blocks in other["placement"].items())
        slower = f"{100 * other['slower']:.1f} % slower a step"
        typer.echo(f"the next best placement is {'as good' if other['slower'] < _AS_GOOD else slower} ({where})")
    if without is not None and "samples_per_second" in without:
        typer.echo(f"as the boards are: {_rate(without)}; {without['limited_by']} limits it")


def _rate(found: Mapping[str, Any]) -> str:
    energy = found.get("joules_per_sample_estimated")
    joules = f", about {energy:.3g} J a sample (estimated)" if energy is not None else ""
    return f"at most {found['samples_per_second']:.0f} samples/s{joules}"


def _basis(basis: Mapping[str, str]) -> str:
    """Where the numbers are from."""
    kinds = list(dict.fromkeys(basis.values()))
    if kinds == ["this machine"]:
        return " (every board is taken to be like this machine, times its speed)"
    return f" (by {', '.join(kinds)})"


def idle_line(names: Sequence[str]) -> str:
    """Boards that have nothing to do, in one line.

    Args:
        names: of these boards.
    """
    told = ", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]}, {len(names)} boards"
    return f"idle: {told}"
