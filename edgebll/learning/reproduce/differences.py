"""What each line of a table has more than the baseline and than greedy learning, and what its blocks know. No torch.

Runs of one seed see the same samples in the same order whatever rule they train with, so differences are taken seed by seed;
where a rule is told another batch size or the like, there is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgebll.kernel.comparison.paired_difference import HIGHER, LOWER, MIN_SEEDS, PairedDifference, paired_difference
from edgebll.learning.reproduce.cell_times import Like, like
from edgebll.learning.reproduce.recipe import ACCURACY, Recipe

if TYPE_CHECKING:
    from edgebll.learning.reproduce.cells import Cell

#: Fields of TrainConfig that decide, with the seed, which samples form which batch, and how they are changed.
_ORDER = ("data", "data_options", "limit", "augment", "sampling", "last_batch", "batch_size", "epochs")
Line = dict[str, Any]


def with_differences(recipe: Recipe, lines: Sequence[Line], cells: Iterable[Cell]) -> list[Line]:
    """The lines of a table of accuracies, each with "against": reference -> the paired difference in points from it.

    References are the recipe's baseline and greedy learning, of the same setting and number of blocks, or of one block.

    Args:
        recipe: of the table.
        lines: with "setting", "rule", "blocks" and "accuracies", seed -> percent.
        cells: of the table.
    """
    orders = {like(cell): _order_of(cell) for cell in cells}
    by_key = {(line["setting"], line["rule"], line["blocks"]): line for line in lines}

    def found(line: Line, name: str) -> dict[str, Any] | None:
        for blocks in (line["blocks"], 1):
            key: Like = (line["setting"], name, blocks)
            if key in by_key:
                same = orders[key] == orders[line["setting"], line["rule"], line["blocks"]]
                return _plain(_between(line, by_key[key])) if same else None
        return None

    references = [name for name in dict.fromkeys((recipe.baseline, recipe.greedy)) if name]
    against = [{name: found(line, name) for name in references if name != line["rule"]} for line in lines]
    return [{**line, "against": own} for line, own in zip(lines, against, strict=True)]


def ranked(lines: Sequence[Mapping[str, Any]], *, lower: bool = False) -> str:
    """Rules from the best mean to the worst, "A > B" where the difference of neighbours is resolved, "A ~ B" where not.

    Args:
        lines: with "rule", "mean" and "accuracies".
        lower: whether less is better.
    """
    order = sorted(
        (line for line in lines if line["mean"] is not None), key=lambda line: float(line["mean"]), reverse=not lower
    )
    text = ""
    for place, line in enumerate(order):
        before = order[place - 1] if place else None
        difference = _between(before, line) if before else None
        sign = " > " if difference and difference.verdict == (LOWER if lower else HIGHER) else " ~ "
        text += (sign if before else "") + line["rule"]
    return text


def head_figures(runs: Mapping[str, Mapping[str, Mapping[str, float]]], metric: str = ACCURACY) -> list[dict[int, float]]:
    """What the auxiliary network of each block reaches, in order: seed -> figure; empty where there are none.

    Args:
        runs: seed -> block -> metrics of its auxiliary network.
        metric: the one that is told; accuracy in percent, another as it is.
    """
    first = next(iter(runs.values()), {})
    blocks = sorted((name for name in first if metric in first[name]), key=lambda name: int(name.removeprefix("block")))
    if any(metric not in own.get(name, {}) for own in runs.values() for name in blocks):
        return []
    scale = 100.0 if metric == ACCURACY else 1.0
    return [{int(seed): scale * own[name][metric] for seed, own in runs.items()} for name in blocks]


def used_depth(known: Sequence[Mapping[int, float]], *, lower: bool = False) -> int | None:
    """The last block that is resolved to be better than those before, counted from 1; None for too few seeds to tell.

    Args:
        known: of each block, the last one too, seed -> figure.
        lower: whether less is better.
    """
    if not known or len(known[0]) < MIN_SEEDS:
        return None
    best = 0
    for place in range(1, len(known)):
        found = paired_difference(known[place], known[best])
        if found is not None and found.verdict == (LOWER if lower else HIGHER):
            best = place
    return best + 1


def _between(line: Mapping[str, Any], reference: Mapping[str, Any]) -> PairedDifference | None:
    ours, theirs = ({int(seed): value for seed, value in one["accuracies"].items()} for one in (line, reference))
    return paired_difference(ours, theirs)


def _plain(difference: PairedDifference | None) -> dict[str, Any] | None:
    return None if difference is None else {**asdict(difference), "seeds": list(difference.seeds)}


def _order_of(cell: Cell) -> str:
    return "" if cell.config is None else json.dumps([getattr(cell.config, name) for name in _ORDER], sort_keys=True)
