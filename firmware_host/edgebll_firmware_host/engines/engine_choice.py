"""What a run's stream runs on, made from options or from what run.json says of an earlier process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebll.cli.output import say
from edgebll.kernel.support.plain_dataclasses import from_plain

if TYPE_CHECKING:
    from edgebll_firmware_host.engines.local_processes import Engine
    from edgebll_firmware_host.inventory import Cluster


@dataclass(frozen=True)
class Machinery:
    """What the stream runs on.

    Attributes:
        engine: makes the boards for a run at this path; None runs all blocks in this process.
        runtime: of this process, then.
        threads: of this process, then.
        weights: measured cost of each block, for the placement.
        facts: entries of run.json and summary.json.
        preflight: whether boards try their links first.
    """

    engine: Callable[[Path], Engine] | None
    runtime: str
    threads: int
    weights: list[float] | None
    facts: dict[str, Any]
    preflight: bool = False


@dataclass(frozen=True)
class LocalAgents:
    """Agents to start on this machine; none runs all blocks in this process. As the options of `edgebll simulate`.

    `threads_used` is what this process computes with where there are no agents: those the run began with, 0 if it begins.
    """

    boards: int
    window: int
    threads: int
    runtime: str
    deadline: float
    patience: float
    cap_threads: bool = True
    memory_check: bool = True
    threads_used: int = 0

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
        from edgebll_firmware_host.engines.local_processes import LocalProcesses
        from edgebll_firmware_host.inventory import HostEntry

        host = HostEntry(window=self.window, deadline_s=self.deadline, patience_s=self.patience)

        def engine(run: Path) -> Engine:
            how: dict[str, Any] = {"threads": self.threads, "runtime": self.runtime, "cap_threads": self.cap_threads}
            how["memory_mib"] = None if self.memory_check else 0
            return LocalProcesses(self.boards, run / "boards", **how, host=host)

        if self.boards:
            return Machinery(engine, self.runtime, self.threads, weights, asdict(self))
        used = self._own_threads()
        return Machinery(None, self.runtime, used, weights, asdict(replace(self, threads_used=used)))

    def _own_threads(self) -> int:
        """Threads of this process, as a board alone would use."""
        from edgebll.kernel.limits import usable_processors
        from edgebll_firmware_host.inventory import BoardEntry
        from edgebll_firmware_host.policy.thread_cap import used_threads, warning

        entry = BoardEntry(
            "host", "tcp://127.0.0.1:1", threads=self.threads, runtime=self.runtime, cap_threads=self.cap_threads
        )
        cpus = usable_processors()
        used = self.threads_used or used_threads(entry, cpus, ())
        if told := warning("this host", entry, cpus, used):
            say(f"edgebll: {told}")
        return used


def on_cluster(inventory: Cluster, path: Path, weights: list[float] | None, *, preflight: bool = True) -> Machinery:
    """The boards of an inventory, which was read from `path`; with `preflight` they try their links first."""
    from edgebll_firmware_host.engines.local_processes import RunningAgents

    first = inventory.boards[0]
    facts = {"boards": len(inventory.boards), "window": inventory.host.window, "cluster": str(path.absolute())}
    return Machinery(lambda _: RunningAgents(inventory), first.runtime, first.threads, weights, facts, preflight)
