"""`edgebll networks`, and the options of `edgebll train` about networks and data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cifar_files import write_cifar
from support.several_inputs import write_network
from typer.testing import CliRunner, Result

from edgebll.cli.app import app
from edgebll.data.cifar import CIFAR10
from edgebll.learning.networks import NETWORKS

TINY = ["--epochs", "1", "--threads", "1", "--batch-size", "4"]


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_networks_are_listed() -> None:
    entries = json.loads(call("networks", "--json").stdout)
    assert [entry["name"] for entry in entries] == list(NETWORKS)
    (found,) = [entry for entry in entries if entry["name"] == "resnet50"]
    assert (found["parameters"], found["layers"], found["units"]) == (23_520_842, 50, 17)
    assert (found["even"]["4"], found["stages"], found["options"]) == (
        [5, 4, 4, 4],
        [4, 4, 6, 3],
        {"width": 64, "stem": "conv"},
    )
    table = call("networks", "transformer").stdout
    assert "670,922" in table
    assert "5,5,5,5" in table
    assert "resnet50" not in table
    assert "known are mlp" in call("networks", "vgg99", code=2).stderr


def test_a_network_is_cut_and_sized_as_told(tmp_path: Path) -> None:
    """On sequences, in blocks of other sizes; the run is evaluated by position, exported and verified."""
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    size = ["--network-option", "depth=3", "--network-option", "dim=4", "--network-option", "hidden=4"]
    network = ["--network", "transformer", *size, "--split", "1,2"]
    call("train", "--data", "reverse", *network, *TINY, "--batch-size", "100", "--limit", "100", "--out", run)
    config = json.loads((run / "run.json").read_text())
    assert (config["blocks"], config["split"]) == (2, "1,2")
    assert config["network_options"] == {"depth": 3, "dim": 4, "hidden": 4, "positions": "sinusoidal"}
    accuracy = json.loads((run / "summary.json").read_text())["accuracy"]
    assert 0.05 < accuracy < 0.3
    call("export", run, "--out", bundle)
    assert json.loads((bundle / "manifest.json").read_text())["network"]["options"]["split"] == "1,2"
    call("verify", bundle, "--steps", "2")
    found = json.loads(call("eval", bundle, "--json").stdout)
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert "cannot go on with 2,1" in call("train", "--out", run, "--resume", "--split", "2,1", code=2).stderr
    assert "cannot go on with dim=8" in call("train", "--out", run, "--resume", "--network-option", "dim=8", code=2).stderr
    call("train", "--out", run, "--resume", "--network-option", "dim=4", "--split", "1,2")


def test_augmented_images_and_their_source(tmp_path: Path) -> None:
    """The bundle remembers the augmentation; figures carry where the images come from."""
    write_cifar(tmp_path / "data", CIFAR10, per_file=2)
    data: list[str | Path] = ["--data", "cifar-10", "--data-dir", tmp_path / "data"]
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    network = ["--network", "mlp", "--network-option", "width=4", "--split", "1,3"]
    said = call("train", *data, *network, *TINY, "--augment", "standard", "--out", run).stdout
    assert "2 test samples of cifar-10 (not the original files)" in said
    assert json.loads((run / "run.json").read_text())["data_source"] == "not the original files"
    assert "cifar-10 (not the original files)" in call("eval", run, "--data-dir", tmp_path / "data").stdout
    call("export", run, "--out", bundle)
    digests = []
    for name, options in (("a", []), ("b", ["--augment", "standard"]), ("c", ["--augment", "none"])):
        call("simulate", bundle, "--boards", "0", *options, "--data-dir", tmp_path / "data", "--out", tmp_path / name)
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert summary["augment"] == ("none" if name == "c" else "standard")
        assert summary["data_source"] == "not the original files"
        digests.append(summary["state_sha256"])
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "1,1"], "has 4 units, but the split 1,1 distributes 2"),
        (["--split", "stages", "--blocks", "2"], "makes 3 blocks, not 2"),
        (["--network-option", "depth=2"], "no option 'depth'"),
        (["--network-option", "width"], "KEY=VALUE, e.g. width=32"),
        (["--augment", "mirror"], "known are none, standard, reflect"),
        (["--data", "reverse"], "resnet8 takes images"),
        (["--data", "reverse", "--network", "transformer", "--augment", "standard"], "use --augment none"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, options: list[str], words: str) -> None:
    result = call("train", "--out", tmp_path / "run", *TINY, "--limit", "8", *options, code=2)
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_a_network_without_scores_for_positions_does_not_fit_sequences(tmp_path: Path) -> None:
    """The MLP takes samples of any shape, but gives each one class."""
    options = ["--data", "reverse", "--network", "mlp", "--rule", "backprop"]
    result = call("train", "--out", tmp_path / "run", *TINY, "--limit", "8", *options, code=4)
    assert "gives scores (10,), but reverse has samples (10, 10) with labels (10, 10)" in result.stderr
    assert "choose another network or data set" in result.stderr


OWN = """
from torch import nn

def make(num_classes, width: int = 8):
    body = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU())
    return nn.Sequential(body, nn.Flatten(), nn.Linear(4 * width, num_classes))
"""


def test_a_cut_is_shown_before_anything_is_trained(tmp_path: Path) -> None:
    """Multiply-accumulates and bytes by hand: 4x4 and 2x2 maps of a 3x3 convolution, then a linear layer."""
    (tmp_path / "net.py").write_text(OWN)
    own = ["networks", f"{tmp_path}/net.py:make", "--input-shape", "3x8x8", "--classes", "5", "--network-option", "width=4"]
    shown = json.loads(call(*own, "--json").stdout)
    blocks = [(b["macs"], b["parameters"], b["output_shape"], b["link_bytes"]) for b in shown["blocks"]]
    assert blocks == [(16 * 27 * 4, 112, [4, 4, 4], 256), (4 * 36 * 4, 148, [16], 64), (16 * 5, 85, [5], 0)]
    table = call(*own, "--cut", "0.1").stdout
    assert "in 2 blocks, samples of 3x8x8, 5 classes; the same again: --cut 0.1" in " ".join(table.split())
    assert "1,728" in table
    assert "give --input-shape and --classes" in call("networks", f"{tmp_path}/net.py:make", code=2).stderr
    shipped = json.loads(call("networks", "mlp", "--blocks", "2", "--json").stdout)
    assert [block["macs"] for block in shipped["blocks"]] == [784 * 256 + 2 * 256 * 256, 256 * 256 + 256 * 10]


def test_an_own_rule_is_shown_with_its_streams(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("from edgebll.learning import Greedy\n\nclass Mine(Greedy):\n    pass\n")
    (entry,) = json.loads(call("rules", f"{tmp_path}/own.py:Mine", "--blocks", "2", "--json").stdout)
    assert [stream["source"] for stream in entry["streams"]] == ["host", "block0"]


def test_networks_of_installed_packages_are_listed_and_go_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "obliging-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: obliging\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[edgebll.networks]\nobliging-net = obliging:make\n")
    (tmp_path / "obliging.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    assert "obliging-net: of obliging 1.5." in call("networks").stdout
    shown = call("networks", "obliging-net", "--input-shape", "3x8x8", "--classes", "5", "--json").stdout
    assert len(json.loads(shown)["blocks"]) == 3


def test_blocks_of_a_list_are_shown_with_the_inputs_they_read(tmp_path: Path) -> None:
    """By hand: 16 numbers to the next block, and 5 readings that the last one reads; 36 x 16, 16 x 16 and 21 x 4 products."""
    own = ["networks", f"{write_network(tmp_path)}:late", "--input-shape", "1x6x6", "--classes", "4"]
    shown = json.loads(call(*own, "--side-input", "readings=5", "--json").stdout)
    assert [(b["macs"], b["link_bytes"]) for b in shown["blocks"]] == [(576, 84), (256, 84), (84, 0)]
    assert shown["split"] is None
    assert "the same again" not in call(*own, "--side-input", "readings=5").stdout
    for typed, told in (
        ([], "block2 takes 'readings', which is no input of the network; it has x"),
        (["--side-input", "readings"], "an option of the side input must be KEY=VALUE, e.g. readings=6"),
        (["--side-input", "readings=five"], "a side input's shape must be sizes joined by x, e.g. 3x32x32, not 'five'"),
    ):
        assert told in call(*own, *typed, code=2).stderr
