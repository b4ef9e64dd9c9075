"""The commands, called in this process: what they print where, and how they end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.command_calls import TRAIN, call, sentence
from support.file_server import file_server
from support.idx_files import write_fashion_mnist

from edgebll import __version__
from edgebll.kernel.runs.run_folder import open_run
from edgebll.learning import BLL


def test_help_names_every_command() -> None:
    text = call("--help").stdout
    for command in ("train", "export", "verify", "eval", "data", "keys", "doctor", "version"):
        assert f"  {command} " in text
    assert "130  interrupted from the keyboard" in text


def test_version() -> None:
    assert call("--version").stdout == f"edgebll {__version__}\n"
    assert call("version").stdout.startswith(f"edgebll {__version__} (Python 3.")
    assert json.loads(call("version", "--json").stdout)["edgebll"] == __version__


@pytest.mark.usefixtures("pictures")
def test_train_reports_on_stdout_and_progress_on_stderr(tmp_path: Path) -> None:
    result = call(*TRAIN, "--out", tmp_path / "run")
    assert len(result.stdout.splitlines()) == 1
    assert "accuracy" in result.stdout
    assert "epoch 1: accuracy" in result.stderr
    assert (tmp_path / "run" / "curves.png").is_file()


def test_train_as_json_is_the_summary(tmp_path: Path) -> None:
    result = json.loads(call(*TRAIN, "--out", tmp_path / "run", "--json").stdout)
    assert result == {"run": str(tmp_path / "run"), **open_run(tmp_path / "run")[1]}


def test_every_option_reaches_the_run(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "batch_size": 16,
        "seed": 3,
        "lr": 0.01,
        "schedule": "step",
        "warmup_steps": 2,
        "checkpoint_steps": 7,
    }
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    short = ["--momentum=0.5", "--no-nesterov", "--weight-decay=0.001", "--accumulate=2", "--optimizer-option", "clip-norm=3"]
    call(*TRAIN, *arguments, *short, "--rule-option", "match=2", "--rule-option", "pool=max", "--out", tmp_path / "run")
    config = open_run(tmp_path / "run")[0]
    assert {name: config[name] for name in options} == options
    assert (config["network"], config["blocks"], config["limit"]) == ("mlp", 2, 128)
    assert (config["rule_options"]["match"], config["rule_options"]["pool"]) == (2.0, "max")
    expected = {"momentum": 0.5, "nesterov": False, "weight_decay": 0.001, "clip_norm": 3.0, "accumulate": 2}
    assert (config["optimizer"], config["optimizer_options"]) == ("sgd", expected)


def test_defaults_fit_each_other(tmp_path: Path) -> None:
    small = ["train", "--limit", "64", "--epochs", "1", "--network", "mlp"]
    call(*small, "--rule", "backprop", "--out", tmp_path / "a")
    assert open_run(tmp_path / "a")[0]["blocks"] == 1
    call(*small, "--momentum", "0", "--out", tmp_path / "b")
    config = open_run(tmp_path / "b")[0]
    assert (config["blocks"], config["optimizer_options"]["nesterov"]) == (4, False)
    call(*small, "--optimizer", "adam", "--out", tmp_path / "c")
    assert [open_run(tmp_path / name)[0]["lr"] for name in "bc"] == [0.05, 0.001]


def test_an_option_comes_from_the_environment_unless_given(tmp_path: Path) -> None:
    env = {"EDGEBLL_TRAIN_SEED": "5", "EDGEBLL_TRAIN_BATCH_SIZE": "32", "EDGEBLL_VERSION": "1"}
    call(*TRAIN, "--seed", "6", "--out", tmp_path / "run", env=env)
    config = open_run(tmp_path / "run")[0]
    assert (config["seed"], config["batch_size"]) == (6, 32)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--batch-size", "0"], 2, "batch size must be at least 1"),
        (["--batch-size", "129"], 2, "batch size must lie in 1..128"),
        (["--network", "vgg"], 2, "unknown network 'vgg'; known are mlp, resnet8, resnet18"),
        (["--rule", "magic"], 2, "unknown rule 'magic'"),
        (["--rule-option", "match"], 2, "must be KEY=VALUE"),
        (["--rule-option", "match=a"], 2, "match must be a float, not 'a'"),
        (["--rule-option", "match=nan"], 2, "match must be a finite number, not nan"),
        (["--rule-option", "match_growth=inf"], 2, "match_growth must be a finite number, not inf"),
        (["--rule-option", "match=1", "--rule-option", "match=2"], 2, "given twice"),
        (["--lr", "nan"], 2, "the learning rate must be above 0, not nan"),
        (["--accumulate", "0"], 2, "accumulate must lie in 1..65536 steps of an update, but is 0"),
        (["--optimizer", "lion"], 2, "unknown optimizer 'lion'; known are sgd, adam, adamw"),
        (["--optimizer", "adam", "--momentum", "0.9"], 2, "the optimizer adam has no option 'momentum'"),
        (["--momentum", "0.9", "--optimizer-option", "momentum=0.9"], 2, "is given twice"),
        (["--optimizer-option", "clip_norm"], 2, "an option of the optimizer must be KEY=VALUE, e.g. clip_norm=1"),
        (["--optimizer-option", "lr=1"], 2, "give lr"),
        (["--data", "mnist"], 2, "unknown data set 'mnist'"),
        (["--data", "fashion-mnist", "--data-dir", "/nowhere"], 4, "edgebll data fetch fashion-mnist"),
        (["--resume", "--overwrite"], 2, "exclude each other"),
        (["--resume"], 3, "is not a run folder"),
        (["--device", "tpu"], 2, "must be one of cpu, cuda, auto, not 'tpu'"),
        (["--evaluate-epochs", "0"], 2, "evaluate epochs must be at least 1"),
        (["--lr", "1e30", "--schedule", "constant", "--epochs", "3"], 1, "run again with a smaller --lr"),
    ],
)
def test_train_refuses_in_one_sentence(tmp_path: Path, arguments: list[str], code: int, text: str) -> None:
    assert text in sentence(call(*TRAIN, "--out", tmp_path / "run", *arguments, code=code))


def test_wrong_usage_ends_with_code_2(tmp_path: Path) -> None:
    assert "No such option" in call("train", "--bogus", code=2).stderr
    assert "Missing option" in call("train", code=2).stderr
    assert "No such command" in call("trian", code=2).stderr


def test_a_folder_that_cannot_be_written_ends_with_code_9(tmp_path: Path, run: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in sentence(call(*TRAIN, "--out", tmp_path / "file" / "run", code=9))
    assert "--overwrite" in sentence(call(*TRAIN, "--out", run, code=9))


def test_resume_keeps_the_options_of_the_run(run: Path) -> None:
    resumed = json.loads(call("train", "--out", run, "--resume", "--json").stdout)
    assert resumed["state_sha256"] == open_run(run)[1]["state_sha256"]
    call("train", "--out", run, "--resume", "--network", "mlp", "--rule-option", f"match={BLL().match}")
    call("train", "--out", run, "--resume", "--optimizer", "sgd", "--momentum", "0.9", "--optimizer-option", "clip_norm=0")
    call("train", "--out", run, "--resume", "--device", "auto", "--compile", "--channels-last")  # a run may go on elsewhere
    others = (
        ("--epochs", "7"),
        ("--seed", "1"),
        ("--rule-option", "match=17"),
        ("--lr", "1"),
        ("--weight-decay", "1"),
        ("--accumulate", "2"),
    )
    for option, value in (*others, ("--optimizer", "adam"), ("--optimizer-option", "clip_norm=17")):
        assert f"leave {option} out" in sentence(call("train", "--out", run, "--resume", option, value, code=2))


def test_without_torch_the_error_says_what_to_install(
    tmp_path: Path, run: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'edgebll[train]'" in sentence(call(*TRAIN, "--out", tmp_path / "run", code=10))
    assert "pip install 'edgebll[train]'" in sentence(call("eval", run, code=10))
    assert "pip install 'edgebll[export]'" in sentence(call("export", run, "--out", tmp_path / "b", code=10))
    assert "pip install 'edgebll[export]'" in sentence(call("verify", bundle, code=10))


@pytest.mark.usefixtures("pictures")
def test_without_matplotlib_a_run_is_still_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = call(*TRAIN, "--out", tmp_path / "run")
    assert "no curves.png" in result.stderr
    assert open_run(tmp_path / "run")[1]["accuracy"] > 0


def test_data_list(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    rows = {row["name"]: row for row in json.loads(call("data", "list", "--data-dir", tmp_path, "--json").stdout)}
    assert rows["fashion-mnist"] == {"name": "fashion-mnist", "found": True, "where": str(tmp_path)}
    assert rows["digits"]["found"]
    assert rows["reverse"] == {"name": "reverse", "found": True, "where": "generated"}
    assert not rows["cifar-10"]["found"]
    assert "edgebll data fetch cifar-10" in rows["cifar-10"]["where"]
    table = call("data", "list", "--data-dir", tmp_path / "nowhere").stdout
    assert "edgebll data fetch fashion-mnist" in table


def test_data_fetch_tells_what_went_wrong(tmp_path: Path) -> None:
    with file_server() as server:
        assert "404" in sentence(call("data", "fetch", "fashion-mnist", "--to", tmp_path, "--url", server.url, code=4))
        server.files = {"train-images-idx3-ubyte.gz": b"wrong"}
        result = call("data", "fetch", "fashion-mnist", "--to", tmp_path, "--url", server.url, code=4)
        assert "SHA-256 differs" in sentence(result)
        assert "train-images-idx3-ubyte.gz: 0.0 MB of 0.0 MB" in result.stderr
    assert "nothing to download" in sentence(call("data", "fetch", "digits", code=2))


def test_data_fetch_leaves_right_files_alone() -> None:
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    result = call("data", "fetch", "fashion-mnist", "--to", folder, "--url", "http://127.0.0.1:9/")
    assert result.stdout == f"fashion-mnist is in {folder}\n"


def test_an_interrupt_ends_with_code_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebll.learning.training import evaluate

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules[evaluate.__module__], "check_fits", interrupted)
    result = call(*TRAIN, "--checkpoint-steps", "1", "--out", tmp_path / "run", code=130)
    assert "interrupted" in result.stderr
    assert "go on with `edgebll train --resume --out" in result.stderr
