"""Pipelines over microcontrollers end with the bits of an undisturbed run, whatever becomes of boards and lines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.board_runs import make_tokens, run_over
from support.chaos_boards import make_kinds
from support.direct_host import agent_process
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import microcontroller_bundle
from support.noisy_line import NoisyLine
from support.slow import slow_after

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.wire import State
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.run.run_request import Outcome

pytestmark = pytest.mark.timeout(120)
KINDS = make_kinds(40, 10)


@dataclass
class Place:
    """Two boards with a microcontroller each, the first behind a line that can be spoilt."""

    cluster: Cluster
    firmware: list[FirmwareProcess]
    line: NoisyLine
    done: set[int] = field(default_factory=set)

    def at(self, steps: dict[int, Callable[[], None]]) -> Callable[[int], None]:
        """Do something at some steps, each once, however often they come."""

        def meanwhile(step: int) -> None:
            if step in steps and step not in self.done:
                self.done.add(step)
                steps[step]()

        return meanwhile


@contextlib.contextmanager
def place(folder: Path, noise: float = 0.0, seed: int = 0) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        firmware = [stack.enter_context(FirmwareProcess(folder / f"line{number}")) for number in range(2)]
        line = stack.enter_context(NoisyLine(folder / "noisy", str(firmware[0].path), seed, noise))
        entries = []
        for number, port in enumerate((line.address, firmware[1].address)):
            options = ("--serial", port, "--listen", "tcp://127.0.0.1:0")
            agent = stack.enter_context(agent_process(folder / f"agent{number}", *options, name=f"m{number}"))
            entries.append(BoardEntry(f"m{number}", agent.endpoint, runtime="serial"))
        yield Place(Cluster(tuple(entries), HostEntry(window=4)), firmware, line)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return microcontroller_bundle("mlp")


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> dict[str, dict[str, bytes]]:
    """Final states of a run in this process, by the ordered reference."""
    messages = run_sequential(bundle, "alone", make_tokens(bundle, KINDS, "alone"), runtime="ordered")
    return {m.block: _bits(m) for m in messages if isinstance(m, State) and m.final}


def _bits(state: State) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in state.tensors.items()}


def _final(outcome: Outcome) -> dict[str, dict[str, bytes]]:
    return {block: {name: value.tobytes() for name, value in state.items()} for block, state in outcome.states.items()}


def test_an_undisturbed_run_has_the_bits_of_the_ordered_reference(
    bundle: Bundle, expected: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with place(tmp_path) as there:
        outcome = run_over(bundle, KINDS, there.cluster, tmp_path / "run")
        assert outcome.placement.blocks == {"m0": ("block0",), "m1": ("block1",)}
        assert _final(outcome) == expected
        assert outcome.recoveries == []


def test_a_microcontroller_that_loses_its_power_is_a_lost_link(
    bundle: Bundle, expected: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with place(tmp_path) as there:
        faults = {15: there.firmware[0].restart, 27: there.firmware[1].restart}
        outcome = run_over(bundle, KINDS, there.cluster, tmp_path / "run", there.at(faults))
        assert there.done == {15, 27}
        assert _final(outcome) == expected
        assert 1 <= len(outcome.recoveries) <= 4
        assert all("was restarted" in recovery.reason or "is gone" in recovery.reason for recovery in outcome.recoveries)
        assert outcome.placement.blocks == {"m0": ("block0",), "m1": ("block1",)}, "no block was moved"


def test_a_port_that_vanishes_for_a_moment_costs_nothing(
    bundle: Bundle, expected: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with place(tmp_path) as there:
        faults = dict.fromkeys((5, 12, 33), there.line.cut)
        outcome = run_over(bundle, KINDS, there.cluster, tmp_path / "run", there.at(faults))
        assert there.done == {5, 12, 33}
        assert _final(outcome) == expected
        assert outcome.recoveries == []


@pytest.mark.parametrize("seed", slow_after(1, range(4)))
def test_a_noisy_line_in_both_directions_changes_no_bit(
    bundle: Bundle, expected: dict[str, dict[str, bytes]], tmp_path: Path, seed: int
) -> None:
    with place(tmp_path, noise=0.004, seed=seed) as there:
        outcome = run_over(bundle, KINDS, there.cluster, tmp_path / "run")
        assert _final(outcome) == expected
        assert sum(there.line.to_board.done.values()) > 3
        assert sum(there.line.from_board.done.values()) > 3
