"""What boards and files say cannot act on a terminal."""

from __future__ import annotations

import pytest

from edgebll.cli.output import printable, say
from edgebll.cli.progress import RunProgress


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("still building block0/step.onnx: 35 s (Größe 3 µm)", "still building block0/step.onnx: 35 s (Größe 3 µm)"),
        ("\x1b[2Jgone\x1b]0;title\x07", "\ufffd[2Jgone\ufffd]0;title\ufffd"),
        ("a\rb\x08c\x9bd\u202ee", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_control_characters_are_shown_as_such(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(text) == shown
    say(text)
    assert capsys.readouterr().err == f"{shown}\n"


def test_what_a_board_says_in_a_run_is_made_printable(capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress("run") as progress:
        progress.said("left: \x1b[31mred")
    assert capsys.readouterr().err == "left: \ufffd[31mred\n"
