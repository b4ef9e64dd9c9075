"""Recovery over real networks: boards in network namespaces, whose links are cut without a word, slowed and spoilt."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chaos_boards import make_kinds
from support.chaos_trial import Trial
from support.impaired_link import Impairment
from support.namespaces import RemoteBoard, remote_boards, why_not

from edgebll.kernel.bundle import Bundle

KINDS = make_kinds(300, 20)
#: So that the run is not over before faults are there.
PAUSE_S = 0.005
_RUNS = itertools.count()
Link = tuple[list[RemoteBoard], Path, tuple[str, ...]]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with remote_boards(tmp_path_factory.mktemp("network") / "boards", 3) as made:
        yield made


def shaped(*discipline: str) -> Callable[[RemoteBoard], None]:
    def apply(board: RemoteBoard) -> None:
        try:
            board.shape(*discipline)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this kernel has no {discipline[0]}: {error.stderr.strip()}")

    return apply


def impaired(**how: Any) -> Callable[[RemoteBoard], None]:
    return lambda board: board.impair(Impairment(**how))


FAULTS: dict[str, Callable[[RemoteBoard], None]] = {
    "cut": RemoteBoard.cut,
    "rate": shaped("tbf", "rate", "4mbit", "burst", "32kbit", "latency", "400ms"),
    "delay": impaired(delay_s=0.02, jitter_s=0.0),
    "loss": impaired(loss=0.05),
    "reorder": impaired(jitter_s=0.01),
    "repeat": impaired(repeat=0.2),
    "damage": impaired(change=0.02),
    "everything": impaired(delay_s=0.005, jitter_s=0.01, loss=0.02, repeat=0.05, change=0.01),
    "netem": shaped("netem", "delay", "20ms", "5ms", "loss", "5%", "corrupt", "2%", "reorder", "25%", "50%"),
}
#: How long a cut is not noticed, and how long it surely is.
SHORT_S, LONG_S = 0.3, 6.0
CASES = [("cut", SHORT_S), ("cut", LONG_S), *((fault, 2.0) for fault in FAULTS if fault != "cut")]


@pytest.mark.parametrize(("fault", "lasts_s"), CASES)
def test_a_bad_network_leaves_the_bits_as_they_are(
    network: Link, side_bundle: Bundle, undisturbed: str, tmp_path: Path, fault: str, lasts_s: float
) -> None:
    """On the link of one board, then on that of another."""
    made, cluster, prefix = network
    where = (cluster, made, tmp_path / f"run{next(_RUNS)}")
    trial = Trial(side_bundle, KINDS, *where, PAUSE_S, prefix)  # type: ignore[arg-type]

    def inflict(board: RemoteBoard) -> Callable[[Trial], None]:
        def apply(trial: Trial) -> None:
            FAULTS[fault](board)
            trial.later(lasts_s, board.whole)

        return apply

    spoilt = [board.link.spoilt for board in made]
    faults = [(step, f"{fault} {board.name}", inflict(board)) for step, board in ((30, made[0]), (100, made[2]))]
    assert trial.go(faults) == undisturbed, trial.log
    assert len(trial.log) == 2
    if fault not in ("cut", "rate", "delay", "netem"):
        said = [line for line in trial.lines if not line.startswith("step")]
        assert all(made[board].link.spoilt > spoilt[board] for board in (0, 2)), (said, trial.log)
    if (fault, lasts_s) == ("cut", LONG_S):
        assert any("silent for" in line for line in trial.lines), trial.lines
