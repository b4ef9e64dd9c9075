"""What a run's stream runs on: this process, agents that are started on this machine, or boards of an inventory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.limits import usable_processors
from edgebll.kernel.spec.emulated_boards import check_emulation
from edgebll_firmware_host.engines.local_processes import Engine, LocalProcesses, RunningAgents
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.policy.thread_cap import used_threads, warning
from edgebll_firmware_host.run.run_spec import DEFAULT_WINDOW, SimulateSpec


@dataclass(frozen=True)
class InProcess:
    """All blocks one after another in this process.

    Attributes:
        runtime: what computes.
        threads: of each training step.
    """

    runtime: str
    threads: int


@dataclass(frozen=True)
class OnBoards:
    """Boards that an engine provides.

    Attributes:
        engine: makes it for the run folder it is given.
        preflight: whether boards try their links before anything is loaded.
    """

    engine: Callable[[Path], Engine]
    preflight: bool = False


Where = InProcess | OnBoards


def on_this_machine(spec: SimulateSpec, threads_used: int, tell: Callable[[str], None]) -> Where:
    """Agents as the spec says, or this process where it says none.

    Args:
        spec: of the run.
        threads_used: what this process computed with when the run began; 0 if it begins.
        tell: takes a sentence where this machine has fewer processors than threads were asked for.
    """
    return agents_here(spec) if spec.boards else InProcess(spec.runtime, _own_threads(spec, threads_used, tell))


def agents_here(spec: SimulateSpec) -> OnBoards:
    """Agents that are started on this machine, as the spec says.

    Raises:
        MissingExtraError: what emulates their microcontrollers is not installed.
    """
    if spec.microcontrollers:
        check_emulation(spec.emulate)
    host = HostEntry(window=spec.window or DEFAULT_WINDOW, deadline_s=spec.deadline, patience_s=spec.patience)

    def engine(run: Path) -> Engine:
        return LocalProcesses(
            spec.boards,
            run / "boards",
            threads=spec.threads,
            runtime=spec.runtime,
            microcontrollers=[f"emulator://{spec.emulate}#{number}" for number in range(spec.microcontrollers)],
            cap_threads=spec.cap_threads,
            memory_mib=None if spec.memory_check else 0,
            host=host,
        )

    return OnBoards(engine)


def _own_threads(spec: SimulateSpec, threads_used: int, tell: Callable[[str], None]) -> int:
    """Threads of this process, as a board alone would use."""
    entry = BoardEntry("host", "tcp://127.0.0.1:1", threads=spec.threads, runtime=spec.runtime, cap_threads=spec.cap_threads)
    cpus = usable_processors()
    used = threads_used or used_threads(entry, cpus, ())
    if told := warning("this host", entry, cpus, used):
        tell(told)
    return used


def on_inventory(inventory: Cluster, *, preflight: bool) -> OnBoards:
    """The boards of an inventory, on which agents are running; with `preflight` they try their links first."""
    return OnBoards(lambda _run: RunningAgents(inventory), preflight)
