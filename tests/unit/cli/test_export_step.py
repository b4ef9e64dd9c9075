"""`edgebll export-step` in this process: what it prints, and how it refuses bad input."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner, Result

from edgebll.cli.app import app

MODULE = """
import torch

scale = torch.tensor(2.0)


def step(x, factor=3.0):
    return {"x": x * factor, "sum": x.sum()}


def example():
    return (torch.arange(6.0).reshape(2, 3),)


step.example = example
plain = {"x": torch.ones(4), "factor": torch.tensor(0.5)}


def unused(x, y):
    return x + 1


unused.example = (torch.ones(2), torch.ones(2))


def noexample(x):
    return x


def impure(x):
    return x.add_(1)


def failing():
    return torch.ones(2) @ torch.ones(3)


def wrong():
    return {"y": torch.ones(2)}


class Nested:
    @staticmethod
    def step(x):
        return x * 2
"""


#: The second result is zero but for rounding: the sum is around 1e5.
ROUNDING = """
import torch

def step(x):
    return x.sum(), x.sum() - x.reshape(100, 100).sum(0).sum()

step.example = (10 * torch.rand(10000, generator=torch.Generator().manual_seed(0)),)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with modules of a user."""
    files = {
        "mine": MODULE,
        "rounded": ROUNDING,
        "broken": "x = (\n",
        "needy": "import torch\nimport nowhere_at_all\n",
        "exits": "raise SystemExit(3)\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in files:
        sys.modules.pop(name, None)


def call(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["export-step", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_the_report_names_every_tensor_and_its_error(folder: Path) -> None:
    result = call("mine:step", "--out", "step.onnx")
    for text in ("step.onnx:", "opset 17", "x.next", "2x3", "scalar", "sum", "0.00e+00"):
        assert text in result.stdout
    assert "ONNX Runtime agrees with PyTorch; largest relative error 0" in result.stderr
    assert [value.name for value in onnx.load(folder / "step.onnx").graph.input] == ["x"]


def test_json_is_for_programs(folder: Path) -> None:
    result = json.loads(call("mine:step", "--example", "plain", "--out", "s.onnx", "--json").stdout)
    assert result["inputs"] == [
        {"name": "x", "dtype": "float32", "shape": [4]},
        {"name": "factor", "dtype": "float32", "shape": []},
    ]
    assert [(row["name"], row["max_rel_error"]) for row in result["outputs"]] == [("x.next", 0.0), ("sum", 0.0)]
    assert [row["elements_by_rounding"] for row in result["outputs"]] == [0, 0]
    assert (result["unused"], result["fixed"]) == ([], {})
    unchecked = json.loads(call("mine:step", "--out", "s.onnx", "--json", "--no-check").stdout)
    assert unchecked["outputs"][0]["max_rel_error"] is None
    assert unchecked["outputs"][0]["elements_by_rounding"] is None


def test_what_is_rounding_is_counted(folder: Path) -> None:
    result = call("rounded:step", "--out", "s.onnx")
    assert re.search(
        r"largest relative error [\d.e-]+, of output0; 1 elements of output1 are off by more than 0.0001", result.stderr
    )
    assert re.search(r"output1 .*, rounding *\n", result.stdout)
    (row,) = json.loads(call("rounded:step", "--out", "s.onnx", "--json").stdout)["outputs"][1:]
    assert row["elements_by_rounding"] == 1


def test_what_is_no_input_is_told(folder: Path) -> None:
    assert "no result depends on y" in call("mine:unused", "--out", "s.onnx").stderr
    assert "mine" in sys.modules
    nested = call("mine:Nested.step", "--example", "mine:example", "--out", "s.onnx", "--opset", "20")
    assert "opset 20" in nested.stdout
    (folder / "fixed.py").write_text("import torch\ndef f(x, k): return x * k\nf.example = (torch.ones(2), 4)\n")
    assert "k = 4 is a constant of the graph" in call("fixed:f", "--out", "s.onnx").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["mine"], 2, "give a function as MODULE:FUNCTION"),
        ([":step"], 2, "give a function as MODULE:FUNCTION"),
        (["absent.py:step"], 2, "absent.py cannot be read (No such file or directory)"),
        (["absent:step"], 2, "there is no module 'absent' in"),
        (["mine.sub:step"], 2, "there is no module 'mine.sub' in"),
        (["broken:step"], 2, "importing broken fails: SyntaxError: '(' was never closed (line 1 of broken.py)"),
        (["needy:step"], 2, "importing needy fails: No module named 'nowhere_at_all'"),
        (["exits:step"], 2, "importing exits fails: SystemExit: 3"),
        (["mine:stop"], 2, "mine has no 'stop'; its names are step, example, unused, noexample"),
        (["mine:plain"], 2, "mine:plain is a dict, not a function"),
        (["mine:noexample"], 2, "give --example FUNCTION, or set noexample.example"),
        (["mine:step", "--example", "absent"], 2, "mine has no 'absent'"),
        (["mine:step", "--example", "wrong"], 2, "the example does not fit step(x, factor)"),
        (["mine:step", "--example", "failing"], 5, "the example mine:failing fails: RuntimeError"),
        (["mine:impure", "--example", "example"], 5, "impure changes its argument 'x' in place"),
        (["mine:step", "--target", "tensorrt-3"], 2, "the target must be one of onnx, tensorrt-8.5"),
        (["mine:step", "--opset", "5"], 2, "the opset must lie between"),
        (["mine:step", "--tolerance", "0"], 2, "the tolerance must be a number above 0"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, arguments: list[str], code: int, text: str) -> None:
    result = call(*arguments, "--out", "step.onnx", code=code)
    (line,) = result.stderr.splitlines()
    assert line.startswith("edgebll: ")
    assert text in line
    assert result.stdout == ""
    assert not (folder / "step.onnx").exists()


def test_folders_are_made_inside_others_only(folder: Path) -> None:
    call("mine:step", "--out", "new/deep/s.onnx")
    assert (folder / "new" / "deep" / "s.onnx").is_file()
    result = call("mine:step", "--out", "/nowhere-at-all/deep/s.onnx", code=9)
    assert "there is no folder /nowhere-at-all; make it first" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("/nowhere-at-all").exists()


def test_a_file_that_cannot_be_written_is_one_sentence(folder: Path) -> None:
    result = call("mine:step", "--out", "mine.py/step.onnx", code=9)
    assert result.stderr.startswith("edgebll: ")
    assert len(result.stderr.splitlines()) == 1


def test_differences_end_with_their_own_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebll_export.functions import step_check

    original = step_check._run
    monkeypatch.setattr(step_check, "_run", lambda *a: {name: value + 1 for name, value in original(*a).items()})
    assert "differs from PyTorch's" in call("mine:step", "--out", "s.onnx", code=6).stderr
    assert not (folder / "s.onnx").exists()
    call("mine:step", "--out", "s.onnx", "--no-check")
