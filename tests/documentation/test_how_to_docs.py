"""The how-to pages on rules, objectives, targets, runtimes and profiles work as they stand."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from support.documents import Document
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.errors import ExportError
from edgebll.kernel.spec.board_speeds import profile_folder
from edgebll_devices.hardware.profiles import load_profiles


def files_of(page: str) -> dict[str, str]:
    """The files that a page shows, by name."""
    return dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', Document(f"docs/how-to/{page}.md").text, re.DOTALL))


def ran(arguments: list[str], folder: Path) -> list[str]:
    """The lines that Python prints."""
    result = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def run(page: str, folder: Path) -> list[str]:
    """Write the files of a page, run its run.py, and return the lines it printed."""
    for name, text in files_of(page).items():
        (folder / name).write_text(text)
    return ran(["run.py"], folder)


@pytest.mark.parametrize(("page", "trained"), [("add-a-rule", "net.0.weight"), ("add-an-objective", "net.0.weight")])
def test_a_rule_and_an_objective_export_and_equal_autograd(page: str, trained: str, tmp_path: Path) -> None:
    lines = run(page, tmp_path)
    assert any(line.startswith(f"step {trained}") for line in lines)
    assert all(line.endswith(" ok") for line in lines)


def test_a_tuning_freezes_a_block_and_a_layer(tmp_path: Path) -> None:
    first, last = run("fine-tune", tmp_path)
    assert re.fullmatch(r"block0 state 0, frozen [1-9]\d* bytes, reports \[\]", first)
    assert re.fullmatch(r"block1 state [1-9]\d*, frozen [1-9]\d* bytes, reports \['loss'\]", last)


def test_training_in_bfloat16_is_one_option_and_so_is_exporting_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train, export = Document("docs/how-to/train-in-bfloat16.md").commands()
    result = CliRunner().invoke(app, [*train[1:], "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "runs" / "half" / "run.json").read_text("utf-8"))
    assert (told["precision"], told["channels_last"]) == ("bfloat16", True)
    refused = CliRunner().invoke(app, ["export", "runs/half", "--out", "bundles/half"])
    assert refused.exit_code == ExportError.exit_code
    assert "float32, mixed, int8: choose one by --precision" in refused.output
    exported = CliRunner().invoke(app, export[1:])
    assert exported.exit_code == 0, exported.output


def test_rules_are_compared_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands and the program; the runs of the first are not run again."""
    page = Document("docs/how-to/compare-rules.md")
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', page.text, re.DOTALL):
        Path(name).write_text(text)
    sweep, compare = (words for words in page.commands() if words[0] == "edgebll")
    swept = CliRunner().invoke(app, [*sweep[1:], "-j", "1"])
    assert swept.stdout == "sweeps/RESULTS.md: 12 of 12 runs of match are whole\n", swept.output
    compared = CliRunner().invoke(app, compare[1:])
    assert compared.exit_code == 0, compared.output
    assert [line.split()[-1] for line in compared.stdout.splitlines() if " backprop " in line] == ["reference"]
    assert "for all 3 together (Bonferroni)" in compared.stdout
    assert Path("match.png").stat().st_size
    runpy.run_path("run.py")


@pytest.mark.slow
def test_blocks_are_probed_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Document("docs/how-to/probe-blocks.md")
    monkeypatch.chdir(tmp_path)
    for command in page.commands():
        assert command[0] == "edgebll"
        result = CliRunner().invoke(app, command[1:])
        assert result.exit_code == 0, result.output
    assert Path("probe.png").stat().st_size
    assert [line.split()[::2] for line in run("probe-blocks", tmp_path)] == [[f"block{k}", "True"] for k in range(3)]


def test_a_target_refuses_what_it_lacks(tmp_path: Path) -> None:
    target, refused = run("add-a-target", tmp_path)
    assert target == "accelerator"
    assert "has no Erf" in refused


def test_runtimes_are_used_and_compared_by_hand(tmp_path: Path) -> None:
    shape, *compared = run("add-a-runtime", tmp_path)
    assert shape == "(8, 8) ['loss', 'loss_match', 'loss_pred']"
    assert compared == ["onnxruntime agrees with PyTorch", "reference agrees with PyTorch"]


def test_a_board_trains_in_a_program_of_its_own_without_torch(tmp_path: Path) -> None:
    for name, text in files_of("train-in-your-own-program").items():
        (tmp_path / name).write_text(text)
    ran(["make_bundle.py"], tmp_path)
    alone = "import sys, runpy; sys.modules['torch'] = sys.modules['onnx'] = None; runpy.run_path('board.py')"
    (said,) = ran(["-c", alone], tmp_path)
    assert re.fullmatch(r"loss 0\.\d\d, 5 of 5 known", said)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["block0.safetensors", "block1.safetensors"]


def test_a_task_of_ones_own_trains_over_boards(tmp_path: Path) -> None:
    assert run("add-a-task", tmp_path) == ["{'scale': 0.5}"]
    for program, command, *words in Document("docs/how-to/add-a-task.md").commands():
        assert program == "edgebll"
        few = ["--limit", "128"] if command != "export" else []
        line = [sys.executable, "-c", "from edgebll.cli import main; main()", command, *words, *few]
        result = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("runs/boards: worst error ")


def test_a_trained_network_leaves_as_one_model_and_as_weights(tmp_path: Path) -> None:
    model, *shapes = run("use-a-trained-network", tmp_path)
    assert model == "resnet8 float32 logits True"
    assert shapes == ["(1, 10)", "(5, 10)"]


def test_a_network_of_several_inputs_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files_of("several-inputs").items():
        Path(name).write_text(text)
    runpy.run_path("make_data.py")
    outputs = {}
    for program, *words in Document("docs/how-to/several-inputs.md").commands():
        result = CliRunner().invoke(app, words)
        assert (program, result.exit_code) == ("edgebll", 0), result.output
        outputs[words[0]] = result.stdout
    assert "besides x: readings, float32 of 5" in outputs["data"]
    assert ran(["use.py"], tmp_path)[0].count(",") == 7


def test_the_profile_is_a_profile(tmp_path: Path) -> None:
    (toml,) = Document("docs/how-to/add-a-board-profile.md").fenced("toml")
    (tmp_path / "my-board.toml").write_text(toml)
    (tmp_path / "jetpack.toml").write_bytes((profile_folder() / "jetpack.toml").read_bytes())
    assert load_profiles(tmp_path)["my-board"].unverified == ("threads", "window", "memory_gib: 8")


@pytest.mark.parametrize("page", sorted((Path(__file__).parents[2] / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_the_files_a_page_names_exist(page: Path) -> None:
    root = Path(__file__).parents[2]
    bases = [root, root / "export", root / "devices", root / "firmware_host", root / "devices" / "edgebll_devices"]
    bases += [root / "export" / "edgebll_export", root / "edgebll"]
    named = re.findall(r"`((?:[a-z_]+/)+[\w.-]*\.(?:py|toml|md|sh|c|h))`", page.read_text("utf-8"))
    assert [name for name in named if not any((base / name).exists() for base in bases)] == []


@pytest.mark.slow
def test_the_page_on_event_data_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, text in files_of("event-data").items():
        exec(compile(text, name, "exec"), {"__name__": name})
    for program, *words in Document("docs/how-to/event-data.md").commands():
        assert program == "edgebll"
        if "runs/moves" not in words:  # one spiking network is enough; a plain one takes the same samples
            words = ["mlp" if word == "spiking-mlp" else word for word in words]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output)
    assert all((tmp_path / f"{picture}.png").stat().st_size for picture in ("digits", "sensors", "moves", "trains"))
