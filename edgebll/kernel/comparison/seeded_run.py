"""One run as a comparison sees it: its seed, the options that decide what is learnt, and the figures it ended with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.kernel.comparison.learnt_options import NOT_LEARNT, learnt_options, manifest_options
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_lock import CONFIG, SUMMARY
from edgebll.kernel.runs.run_record import open_run, read_json

#: Where a run over boards keeps its bundle.
_MANIFEST = "bundle/manifest.json"


@dataclass(frozen=True)
class SeededRun:
    """A whole run.

    Attributes:
        path: its folder.
        seed: of its samples' order, and of a training run's first weights.
        options: what decides what is learnt, without the seed; options of rules, networks and optimisers as "rule.match".
        figures: what it ended with, by name: the metrics of the last evaluation, the other numbers of its summary, and of its
            synaptic operations "operations.effective_acs" and the like.
        metrics: names of the metrics of the last evaluation, the most telling one first.
        start: hash of the bundle it began from; empty for a training run, whose weights follow from the seed.
    """

    path: Path
    seed: int
    options: dict[str, Any]
    figures: dict[str, float]
    metrics: tuple[str, ...]
    start: str = ""

    def figure(self, metric: str) -> float:
        """The figure of this name.

        Raises:
            ConfigError: the run has none.
        """
        if metric not in self.figures:
            raise ConfigError(f"{self.path} has no figure {metric!r}; it has {', '.join(self.figures)}")
        return self.figures[metric]


def run_folders(paths: Iterable[Path]) -> list[Path]:
    """The paths, folders that hold runs replaced by those, in the order of their names; each once.

    Raises:
        BundleError: one is neither a run folder nor holds some.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inner = [path] if (path / CONFIG).is_file() else sorted(file.parent for file in path.glob(f"*/{CONFIG}"))
        if not inner:
            raise BundleError(f"{path} is not a run folder and holds none; give runs of `edgebll train`, `simulate` or `run`")
        found |= dict.fromkeys(inner)
    return list(found)


def is_whole(folder: Path) -> bool:
    """Whether a run has come to its end."""
    return (folder / SUMMARY).is_file()


def read_run(folder: Path) -> SeededRun:
    """Read a whole run.

    Raises:
        BundleError: it is damaged, or was not evaluated.
    """
    config, summary = open_run(folder)
    seed = config.get("seed")
    if not isinstance(seed, int):
        raise BundleError(f"{folder / CONFIG} has no seed, but {seed!r}; run it again")
    options = learnt_options(config)
    if (folder / _MANIFEST).is_file():
        options |= manifest_options(read_json(folder, _MANIFEST, "is not whole"))
    measured = summary.get("metrics") if isinstance(summary.get("metrics"), dict) else None
    metrics = _numbers(measured or {name: summary.get(name) for name in ("accuracy", "loss")})
    if not metrics:
        raise BundleError(f"{folder} was not evaluated, so there is nothing to compare; run it again with at least one epoch")
    figures = metrics | _numbers({name: value for name, value in summary.items() if name not in (*NOT_LEARNT, *metrics)})
    figures |= _operations(summary.get("operations"))
    return SeededRun(folder, seed, options, figures, tuple(metrics), str(config.get("manifest_sha256", "")))


def _operations(counted: Any) -> dict[str, float]:
    """Of the operations of a spiking network those of all its blocks together, as "operations.effective_acs"."""
    network = counted.get("network") if isinstance(counted, dict) else None
    return {f"operations.{name}": value for name, value in _numbers(network).items()} if isinstance(network, dict) else {}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value) for name, value in values.items() if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
