"""Boards behind a link on which one message takes longer than any deadline: slow, not lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.board_runs import run_alone
from support.chaos_boards import HOST_DEADLINE_S
from support.chaos_trial import Trial
from support.impaired_link import Impairment
from support.namespaces import RemoteBoard, remote_boards, why_not
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import END, SNAPSHOT, TRAIN
from edgebll_firmware_host.policy.block_placement import largest_token
from edgebll_firmware_host.policy.next_actions import SLOWEST_LINK

KINDS = [TRAIN, SNAPSHOT, END]
#: Bytes a second; seconds.
RATE, DEADLINE_S = 250_000.0, 2.5


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[RemoteBoard], Path, tuple[str, ...]]]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with remote_boards(tmp_path_factory.mktemp("network") / "boards", 2) as made:
        yield made


def test_a_message_may_take_longer_than_every_deadline(
    network: tuple[list[RemoteBoard], Path, tuple[str, ...]], tmp_path: Path
) -> None:
    """From the host to the first board and from board to board; files, states and heartbeats go over the same links."""
    made, cluster, prefix = network
    patient = cluster.with_name("patient.toml")  # lost packets alone may take a second
    patient.write_text(cluster.read_text().replace(f"deadline_s = {HOST_DEADLINE_S}", f"deadline_s = {DEADLINE_S}"))
    bundle = make_tiny_bundle(tmp_path / "bundle", blocks=2, batch_size=512, features=512)
    for size in (largest_token(bundle), bundle.manifest.blocks[0].state_bytes):
        assert size / RATE > 1.15 * (DEADLINE_S + size / SLOWEST_LINK), "or there is nothing to show"
    for board in made:
        board.impair(Impairment(rate=RATE))
    trial = Trial(bundle, KINDS, patient, made, tmp_path / "run", prefix=prefix)  # type: ignore[arg-type]
    assert trial.go([]) == state_sha256(run_alone(bundle, KINDS))
    assert not any("recovering" in line for line in trial.lines), list(trial.lines)
    assert json.loads((trial.run / "incarnation.json").read_text()) == {"incarnation": 1}
