"""What came of a table, as plain values: the content of results.json, from which the report is written."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll.kernel.version import __version__
from edgebll.learning.reproduce.cells import Cell
from edgebll.learning.reproduce.differences import head_figures, used_depth, with_differences
from edgebll.learning.reproduce.one_run import DONE, FAILED
from edgebll.learning.reproduce.parameters import parameters
from edgebll.learning.reproduce.recipe import COST, Recipe, RuleRow
from edgebll.learning.reproduce.report import RUNTIMES
from edgebll.learning.reproduce.runner import outcome
from edgebll.learning.training.config import HOW
from edgebll.learning.training.torch_device import CPU


def results(recipe: Recipe, scale: str, cells: Sequence[Cell], runs: Path) -> dict[str, Any]:
    """Everything the report needs.

    Args:
        recipe: of the table.
        scale: the name of one.
        cells: all runs of the table.
        runs: their folders.

    Raises:
        ConfigError: a folder holds a run of another recipe, or a hyper-parameter has no source.
    """
    found = [(cell, outcome(recipe, cell, runs)) for cell in cells]
    lines = _with_gaps(recipe, [_line(recipe, group) for group in _grouped(found)])
    if recipe.kind != COST:
        lines = with_differences(recipe, lines, cells)
    return {
        "table": recipe.name,
        "scale": scale,
        "kind": recipe.kind,
        "metric": recipe.metric,
        "lower": recipe.lower,
        "edgebll": __version__,
        "title": recipe.title,
        "reproduction": bool(recipe.sources),
        "has_scales": recipe.has_scales,
        "text": recipe.text,
        "notes": list(recipe.notes),
        "words": recipe.scale(scale).words,
        "baseline": recipe.baseline,
        "greedy": recipe.greedy,
        "lines": lines,
        "done": sum(values["state"] == DONE for _, values in found),
        "runs": len(found),
        "seconds": sum(values.get("seconds", 0.0) for _, values in found),
        "ways": _distinct(_way(values) for _, values in found),
        "machines": _distinct(values.get("machine") for _, values in found),
        "data": _distinct(_data(values) for _, values in found),
        "parameters": parameters(recipe, scale, [cell for cell in cells if cell.seed == 0]),
        "cells": [_plain(cell, values) for cell, values in found],
    }


def _grouped(found: Iterable[tuple[Cell, dict[str, Any]]]) -> list[list[tuple[Cell, dict[str, Any]]]]:
    """Cells that differ in nothing but the seed, in the order of the table."""
    groups: dict[tuple[str, str, int], list[tuple[Cell, dict[str, Any]]]] = {}
    for cell, values in found:
        groups.setdefault((cell.setting.name, cell.row.name, cell.blocks), []).append((cell, values))
    return list(groups.values())


def _line(recipe: Recipe, group: Sequence[tuple[Cell, dict[str, Any]]]) -> dict[str, Any]:
    """One line of the table: ours over the seeds, and the published figures."""
    cell, first = group[0]
    done = {str(c.seed): values for c, values in group if values["state"] == DONE}
    line: dict[str, Any] = {"setting": cell.setting.name, "rule": cell.row.name, "blocks": cell.blocks}
    if recipe.kind == COST:
        line["costs"] = {name: values for name, values in first.items() if name in RUNTIMES}
    else:
        accuracies = {seed: recipe.figure_of(values) for seed, values in done.items()}
        line |= {"accuracies": accuracies, "mean": _mean(accuracies.values()), "spread": _spread(list(accuracies.values()))}
        heads = head_figures({seed: values.get("heads", {}) for seed, values in done.items()}, recipe.metric)
        known = [*heads, {int(seed): value for seed, value in accuracies.items()}]
        line["heads"] = [_mean(own.values()) for own in heads]
        line["depth"] = used_depth(known, lower=recipe.lower) if heads else None
        line["seconds"] = _mean(values["seconds"] for values in done.values())
    line["published"] = _published(recipe, cell.setting.name, cell.row, cell.blocks)
    line["reason"] = "" if done else _reason(first)
    return line


def _reason(values: Mapping[str, Any]) -> str:
    if values["state"] == FAILED:
        return f"failed: {values['reason']}"
    return values.get("reason") or {"paused": "begun, not finished"}.get(values["state"], "not run yet")


def _published(recipe: Recipe, setting: str, row: RuleRow, blocks: int) -> list[dict[str, Any]]:
    """Figures with their gap to the same paper's baseline."""
    bases = [row for row in recipe.rules if row.name == recipe.baseline]
    of_base = {p.source: value for base in bases for p, value, _ in recipe.figures(setting, base, blocks)}
    return [
        {
            "source": p.source,
            "value": value,
            "spread": spread,
            "gap": None if p.source not in of_base else value - of_base[p.source],
        }
        for p, value, spread in recipe.figures(setting, row, blocks)
    ]


def _with_gaps(recipe: Recipe, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each line with what it differs from the baseline's of the same setting: of the same number of blocks, or of one block."""
    gap: Callable[[dict[str, Any], dict[str, Any]], Any] = _saved if recipe.kind == COST else _gap
    bases = {(line["setting"], line["blocks"]): line for line in lines if line["rule"] == recipe.baseline}
    for line in lines:
        base = bases.get((line["setting"], line["blocks"]), bases.get((line["setting"], 1)))
        line["gap"] = None if base is None else gap(line, base)
    return lines


def _gap(line: Mapping[str, Any], base: Mapping[str, Any]) -> float | None:
    """Mean difference in points over the seeds both have."""
    both = line["accuracies"].keys() & base["accuracies"].keys()
    return _mean(line["accuracies"][seed] - base["accuracies"][seed] for seed in both)


def _saved(line: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Percent of the baseline's cost that is saved, by runtime and kind of cost."""
    return {
        name: {kind: 100.0 * (1.0 - value / base["costs"][name][kind]) for kind, value in costs.items()}
        for name, costs in line["costs"].items()
        if name in base["costs"]
    }


def _data(values: Mapping[str, Any]) -> str | None:
    if "data" not in values:
        return None
    source = values["data_source"]
    return f"{values['data']} ({source})" if source not in ("", "original") else values["data"]


def _plain(cell: Cell, values: Mapping[str, Any]) -> dict[str, Any]:
    known = {"setting": cell.setting.name, "rule": cell.row.name, "blocks": cell.blocks, "seed": cell.seed, **values}
    if cell.config is None:
        return {**known, "config": None}
    own = {"threads": 1, **{name: values[name] for name in HOW if name in values}}
    return {**known, "config": to_plain(dataclasses.replace(cell.config, **own))}


def _way(values: Mapping[str, Any]) -> str | None:
    """Where and how a run was computed, in words."""
    if "device" not in values:
        return None
    words = ["on the processor" if values["device"] == CPU else "on the GPU"]
    words += ["compiled"] if values["compile"] else []
    words += ["channels last"] if values["channels_last"] else []
    return ", ".join(words)


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.fmean(found) if found else None


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _distinct(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
