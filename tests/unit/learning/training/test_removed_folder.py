"""A run folder that is removed while the trainer goes on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from edgebll.learning.training import Listener, TrainConfig, load_run, train
from edgebll.learning.training.checkpoint import digest

QUICK = TrainConfig(data="digits", network="mlp", blocks=2, epochs=2, batch_size=32, limit=320, checkpoint_steps=4)


class Remover(Listener):
    """Removes the folder after a step."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.heard: list[str] = []

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        if step == 6:
            shutil.rmtree(self.run)

    def said(self, text: str) -> None:
        self.heard.append(text)


def test_it_is_made_again_with_all_that_export_needs(tmp_path: Path) -> None:
    undisturbed = train(QUICK, tmp_path / "a")
    remover = Remover(tmp_path / "b")
    assert train(QUICK, tmp_path / "b", listener=remover)["state_sha256"] == undisturbed["state_sha256"]
    (sentence,) = remover.heard
    assert sentence.startswith(f"{tmp_path / 'b'} was removed")
    first, again = load_run(tmp_path / "a"), load_run(tmp_path / "b")
    for which in ("initial", "trained"):
        assert digest(first.states(which)) == digest(again.states(which))
    assert (tmp_path / "a" / "metrics.jsonl").read_text() == (tmp_path / "b" / "metrics.jsonl").read_text()
