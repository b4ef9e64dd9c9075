"""Recovery over real networks: boards in network namespaces, whose links the kernel cuts without a word, slows and spoils."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.chaos import Trial, make_kinds
from support.namespaces import RemoteBoard, remote_boards, why_not

from edgebll.bundle import Bundle

KINDS = make_kinds(300, 20)
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


FAULTS: dict[str, Callable[[RemoteBoard], None]] = {
    "cut": RemoteBoard.cut,
    "rate": shaped("tbf", "rate", "4mbit", "burst", "32kbit", "latency", "400ms"),
    "delay": shaped("netem", "delay", "20ms", "5ms"),
    "loss": shaped("netem", "loss", "5%"),
    "reorder": shaped("netem", "delay", "5ms", "reorder", "25%", "50%"),
    "damage": shaped("netem", "corrupt", "2%"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("lasts_s", [0.3, 6.0])
def test_a_bad_network_leaves_the_bits_as_they_are(
    network: Link, side_bundle: Bundle, undisturbed: str, tmp_path: Path, fault: str, lasts_s: float
) -> None:
    """On the link of one board, then on that of another."""
    made, cluster, prefix = network
    trial = Trial(side_bundle, KINDS, cluster, made, tmp_path / f"run{next(_RUNS)}", prefix=prefix)  # type: ignore[arg-type]

    def inflict(board: RemoteBoard) -> Callable[[Trial], None]:
        def apply(trial: Trial) -> None:
            FAULTS[fault](board)
            trial.later(lasts_s, board.whole)

        return apply

    faults = [(step, f"{fault} {board.name}", inflict(board)) for step, board in ((60, made[0]), (190, made[2]))]
    assert trial.go(faults) == undisturbed, trial.log
    assert len(trial.log) == 2
    if (fault, lasts_s) == ("cut", 6.0):
        assert any("silent for" in line for line in trial.lines), trial.lines
