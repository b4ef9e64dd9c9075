"""Runs that differ in nothing but their seeds belong together; which options differ between such groups."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgebll.kernel.comparison.seeded_run import SeededRun
from edgebll.kernel.errors import ConfigError

_MISSING = object()


@dataclass(frozen=True)
class RunGroup:
    """Runs with the same options.

    Attributes:
        options: those that differ between the groups of a comparison; what is compared.
        runs: by seed.
        values: the compared figure of each run, in the same order.
    """

    options: dict[str, Any]
    runs: tuple[SeededRun, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the figures."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation of the figures over the seeds, with n - 1; None for one run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def by_seed(self) -> dict[int, float]:
        """Seed -> figure, of seeds that stand for one run."""
        counts = Counter(run.seed for run in self.runs)
        return {run.seed: value for run, value in zip(self.runs, self.values, strict=True) if counts[run.seed] == 1}

    @property
    def title(self) -> str:
        """What it is among the others, for people."""
        return ", ".join(f"{name} {option_text(value)}" for name, value in self.options.items()) or "all runs"


def grouped(runs: Sequence[SeededRun], metric: str) -> list[RunGroup]:
    """The groups, in the order of their first runs.

    Args:
        runs: whole runs, at least one.
        metric: the figure that is compared.

    Raises:
        ConfigError: two of the runs are the same run, or one lacks the figure.
    """
    together: dict[str, list[SeededRun]] = {}
    for run in runs:
        together.setdefault(json.dumps(run.options, sort_keys=True), []).append(run)
    groups = [tuple(sorted(group, key=lambda run: run.seed)) for group in together.values()]
    for group in groups:
        _check_distinct(group)
    names = differing([group[0].options for group in groups])
    return [
        RunGroup(
            {n: group[0].options[n] for n in names if n in group[0].options}, group, tuple(r.figure(metric) for r in group)
        )
        for group in groups
    ]


def _check_distinct(group: Iterable[SeededRun]) -> None:
    """The same options, seed and first weights give the same bits: counted twice they would feign certainty."""
    known: dict[tuple[int, str], SeededRun] = {}
    for run in group:
        other = known.setdefault((run.seed, run.start), run)
        if other is not run:
            raise ConfigError(
                f"{other.path} and {run.path} are the same run, with seed {run.seed} and the same options; give one of them, "
                "or train another seed"
            )


def differing(options: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the options that differ; those of a rule, say, only between groups that have this rule.

    Args:
        options: of each group.
    """
    names = dict.fromkeys(name for one in options for name in one)
    return [name for name in names if _differs(name, options)]


def _differs(name: str, options: Sequence[dict[str, Any]]) -> bool:
    owner = name.partition(".")[0]
    alike: dict[Any, set[str]] = {}
    for one in options:
        key = one.get(owner) if owner != name else None
        alike.setdefault(key, set()).add(_text(one.get(name, _MISSING)))
    return any(len(values) > 1 for values in alike.values())


def _text(value: Any) -> str:
    return "" if value is _MISSING else json.dumps(value)


def option_text(value: Any) -> str:
    """An option as tables show it."""
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
