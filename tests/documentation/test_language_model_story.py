"""The tutorial of a language model runs as it stands; it takes a minute, so it has a file, and so a process, of its own."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from support.stories import summary, told


@pytest.mark.slow
def test_a_language_model_learns_on_four_boards_and_writes_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = told("language-model", tmp_path)
    text = Path("book.txt").read_bytes()
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
    boards = summary(Path("runs/boards"))
    assert len(boards["placement"]) == 4
    assert boards["metrics"]["bits_per_byte"] < entropy - 0.7
    assert [output.count("960.0") for words, output in outputs.items() if words.startswith("edgebll plan")] == [3]
    written = [output.splitlines() for words, output in outputs.items() if words.startswith("edgebll sample")]
    assert written[0][0].startswith("The ")
    assert written[0] == written[1] == written[2]
