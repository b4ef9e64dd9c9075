"""A network, a rule and an optimiser from a file in another folder: trained, resumed, exported, verified, run over boards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.command_calls import call, sentence
from support.own_things import write_things

import edgebll
from edgebll.kernel.runs.run_events import RunEvent, RunStep

COMMAND = [sys.executable, "-c", "from edgebll.cli import main; main()"]


class StoppedError(Exception):
    """The user stops a training."""


@dataclass(frozen=True)
class Trained:
    """What was made of the user's file.

    Attributes:
        code: the folder of the user's files.
        elsewhere: another folder, where commands are run.
        run: a whole training.
        cut_off: the same training, stopped after its first checkpoint.
        bundle: of the whole one.
    """

    code: Path
    elsewhere: Path
    run: Path
    cut_off: Path
    bundle: Path


def options(code: Path) -> dict[str, Any]:
    names = {"network": "Net", "rule": "Mine", "optimizer": "SignedMomentum"}
    return {
        **{what: os.path.relpath(code / "things.py") + f":{name}" for what, name in names.items()},
        "network_option": {"width": "6"},
        "rule_option": ["weight=0.5"],
        **{"blocks": 3, "lr": 0.02, "limit": 160, "batch_size": 16, "epochs": 1, "threads": 1, "checkpoint_steps": 4},
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    base = tmp_path_factory.mktemp("own")
    found = Trained(base / "code", base / "elsewhere", base / "run", base / "cut", base / "bundle")
    write_things(found.code)
    found.elsewhere.mkdir()

    def stop(event: RunEvent) -> None:
        if isinstance(event, RunStep) and event.step == 6:
            raise StoppedError

    edgebll.train(found.run, **options(found.code))
    with pytest.raises(StoppedError):
        edgebll.train(found.cut_off, **options(found.code), progress=stop)
    edgebll.export(found.run, found.bundle)
    return found


def process(trained: Trained, *arguments: str | Path) -> None:
    """A command in a process and a folder of its own, which know nothing of the user's file."""
    command = [*COMMAND, *map(str, arguments)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=trained.elsewhere, env=env)
    assert found.returncode == 0, found.stderr


def test_run_and_bundle_remember_where_the_code_is(trained: Trained) -> None:
    config = json.loads((trained.run / "run.json").read_text())
    manifest = edgebll.open_bundle(trained.bundle).manifest
    things, layers = trained.code / "things.py", trained.code / "layers.py"
    for what, name in (("network", "Net"), ("rule", "Mine"), ("optimizer", "SignedMomentum")):
        for code in (config["code"][what], getattr(manifest, what)["code"]):
            assert code["reference"] == f"{things}:{name}"
            assert list(code["files"]) == [str(things), str(layers)]
    assert (manifest.network["name"], manifest.rule["name"]) == ("things.py:Net", "things.py:Mine")
    assert manifest.network["options"]["width"] == 6
    copies = {path.name: path.read_text() for path in (trained.run / "code").rglob("*.py")}
    assert copies == {"things.py": things.read_text(), "layers.py": layers.read_text()}


def test_a_run_that_was_stopped_goes_on_elsewhere_to_the_same_weights(trained: Trained) -> None:
    process(trained, "train", "--out", trained.cut_off, "--resume")
    digests = [json.loads((run / "summary.json").read_text())["state_sha256"] for run in (trained.run, trained.cut_off)]
    assert digests[0] == digests[1]


def test_the_bundle_is_verified_quantised_and_the_run_evaluated_elsewhere(trained: Trained) -> None:
    call("verify", trained.bundle, "--steps", "2")
    edgebll.evaluate(trained.run, limit=64)
    call("quantize", trained.bundle, "--out", trained.elsewhere / "int8", "--samples", "64")


def test_boards_and_hosts_need_no_code_and_what_does_says_which_file(trained: Trained, tmp_path: Path) -> None:
    file = trained.code / "layers.py"
    text = file.read_text()
    file.unlink()
    try:
        result = edgebll.simulate(trained.bundle, tmp_path / "boards", boards=2, epochs=1, limit=64)
        assert edgebll.evaluate(result, limit=64).accuracy > 0
        error = sentence(call("verify", trained.bundle, code=2))
        assert f"edgebll: the network things.py:Net needs {file}, which is missing; put that file back" in error
        file.write_text(text.replace("nn.ReLU()", "nn.Tanh()"))
        error = sentence(call("eval", trained.run, code=2))
        assert f"needs {file}, which has changed since: its SHA-256 was" in error
        copy = Path(error.rpartition("(")[2].partition(" is a copy)")[0])
        assert copy.read_text() == text
    finally:
        file.write_text(text)


@pytest.mark.parametrize("option", ["network", "rule", "optimizer"])
def test_what_cannot_be_imported_writes_nothing(option: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import torch\nx = torch.nowhere\n")
    error = sentence(call("train", f"--{option}", f"{tmp_path}/bad.py:Mine", "--out", tmp_path / "run", code=2))
    assert f"edgebll: importing {tmp_path}/bad.py fails: AttributeError: module 'torch' has no attribute 'nowhere'" in error
    assert "(line 2 of bad.py)" in error
    assert not (tmp_path / "run").exists()
