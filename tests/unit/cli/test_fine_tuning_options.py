"""What the command line says of a tuning that cannot be: one sentence, an exit code, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_calls import call

from edgebll.kernel.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--freeze", "blok0.*"], "--freeze 'blok0.*' means no parameter of the network; near are block0"),
        (["--freeze", "*"], "every parameter of the network is frozen, so nothing trains; leave at least one free"),
        (["--train", "tail"], "what is trained must be all or head, not 'tail'"),
        (["--lr-for", "block0"], "a number for a pattern must be PATTERN=NUMBER, e.g. block0.*=0.1, not 'block0'"),
        (["--freeze", "block0", "--lr-for", "block0.*=0.1"], "--lr-for 'block0.*' means only what is frozen"),
        (["--adapter", "dora"], "the adapter must be none or lora, not 'dora'"),
        (["--rank", "8"], "rank, alpha and adapt are an adapter's; give the adapter lora too, or leave them out"),
        (["--adapter", "lora", "--adapt", "block0.0.2"], "--adapt 'block0.0.2' means no"),
    ],
)
def test_a_plan_that_cannot_be_is_one_sentence(options: list[str], sentence: str, tmp_path: Path) -> None:
    arguments = ["train", "--network", "mlp", "--blocks", "2", "--limit", "64", "--epochs", "1"]
    result = call(*arguments, "--out", tmp_path / "run", *options, code=ConfigError.exit_code)
    assert sentence in " ".join(result.stderr.split())
    assert result.stderr.count("\n") <= 3
    assert not (tmp_path / "run").exists()
