"""What a run's stream runs on, made from options or from what run.json says of an earlier process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebll.plain import from_plain

if TYPE_CHECKING:
    from edgebll_firmware_host.engines import Engine
    from edgebll_firmware_host.inventory import Cluster


@dataclass(frozen=True)
class Machinery:
    """What the stream runs on.

    Attributes:
        engine: makes the boards for a run at this path; None runs all blocks in this process.
        runtime, threads: of this process, then. weights: measured cost of each block, for the placement.
        facts: entries of run.json and summary.json.
    """

    engine: Callable[[Path], Engine] | None
    runtime: str
    threads: int
    weights: list[float] | None
    facts: dict[str, Any]


@dataclass(frozen=True)
class LocalAgents:
    """Agents to start on this machine; none runs all blocks in this process. As the options of `edgebll simulate`."""

    boards: int
    window: int
    threads: int
    runtime: str
    deadline: float
    patience: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> LocalAgents:
        """Those of a run, by its run.json.

        Raises:
            PlainError: it does not say.
        """
        return from_plain(cls, {name: config[name] for name in cls.__dataclass_fields__ if name in config}, "run.json")

    def machinery(self, weights: list[float] | None) -> Machinery:
        """What `execute` takes.

        Raises:
            ConfigError: an option is out of its range.
        """
        from edgebll_firmware_host.engines import LocalProcesses
        from edgebll_firmware_host.inventory import HostEntry

        host = HostEntry(window=self.window, deadline_s=self.deadline, patience_s=self.patience)

        def engine(run: Path) -> Engine:
            return LocalProcesses(self.boards, run / "boards", threads=self.threads, runtime=self.runtime, host=host)

        return Machinery(engine if self.boards else None, self.runtime, self.threads, weights, asdict(self))


def on_cluster(inventory: Cluster, path: Path, weights: list[float] | None) -> Machinery:
    """The boards of an inventory, which was read from `path`."""
    from edgebll_firmware_host.engines import RunningAgents

    first = inventory.boards[0]
    facts = {"boards": len(inventory.boards), "window": inventory.host.window, "cluster": str(path.absolute())}
    return Machinery(lambda _: RunningAgents(inventory), first.runtime, first.threads, weights, facts)
