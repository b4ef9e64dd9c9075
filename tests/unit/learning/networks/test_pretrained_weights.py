"""Weights from a file: those of the user's own module, all of them, or a table of what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.command_calls import TRAIN, call
from support.own_modules import CLASSES, SHAPE, SmallResNet
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.state.block_state import load_tensors
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.cutting.cut_module import cut_module
from edgebll.learning.networks.pretrained_weights import StartWeights, WeightsMisfitError, load_weights


def pretrained(classes: int = CLASSES) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return SmallResNet(classes).state_dict()


def network() -> BlockNetwork:
    return cut_module(SmallResNet(), "net", 3, "even", CLASSES, SHAPE)


def begin(file: Path, *left_out: str) -> tuple[BlockNetwork, str]:
    made = network()
    return made, load_weights(made, StartWeights.of(file, left_out))


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("w.safetensors", lambda state, path: save_file(state, path)),
        ("w.pt", torch.save),
        ("w.ckpt", lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path)),
    ],
)
def test_a_cut_module_begins_with_the_weights_of_the_whole_one(tmp_path: Path, name: str, save: Callable[..., Any]) -> None:
    save(pretrained(), tmp_path / name)
    made, told = begin(tmp_path / name)
    whole = SmallResNet()
    whole.load_state_dict(pretrained(), strict=True)
    x = torch.randn(3, *SHAPE)
    with torch.no_grad():
        assert torch.equal(made.eval()(x), whole.eval()(x))
    assert told == f"begins with {len(pretrained())} tensors of {tmp_path / name}"


def test_a_shipped_network_begins_with_its_own(tmp_path: Path) -> None:
    first, second = (make_network("mlp", num_blocks=2, num_classes=10, input_shape=SHAPE, seed=seed) for seed in (1, 2))
    torch.save(first.state_dict(), tmp_path / "w.pt")
    load_weights(second, StartWeights.of(tmp_path / "w.pt", None))
    assert all(torch.equal(value, first.state_dict()[name]) for name, value in second.state_dict().items())


def test_what_is_left_out_stays_as_it_is_drawn(tmp_path: Path) -> None:
    torch.save(pretrained(classes=7), tmp_path / "w.pt")
    made, told = begin(tmp_path / "w.pt", "head.*")
    weights = {name: value for block in made.blocks for name, value in block.state_dict().items()}
    assert weights["head.weight"].shape == (CLASSES, 16)
    assert torch.equal(weights["stem.weight"], pretrained()["stem.weight"])
    assert told.endswith("; 2 stay as they are drawn")
    with pytest.raises(ConfigError, match=r"has no weights 'tail\.\*' to leave out; its names are like"):
        begin(tmp_path / "w.pt", "tail.*")


def test_what_does_not_fit_is_a_table(tmp_path: Path) -> None:
    state = {**pretrained(classes=7), "extra": torch.zeros(2)}
    del state["stem.bias"]
    torch.save(state, tmp_path / "w.pt")
    before = {name: value.clone() for name, value in network().state_dict().items()}
    made = network()
    with pytest.raises(WeightsMisfitError) as caught:
        load_weights(made, StartWeights.of(tmp_path / "w.pt", None))
    assert {tuple(row.split()[:2]): " ".join(row.split()[2:]) for row in caught.value.table} == {
        ("stem.bias", "missing"): "float32[8] in the network",
        ("head.weight", "shape"): "float32[10, 16] in the network, float32[7, 16] in the file",
        ("head.bias", "shape"): "float32[10] in the network, float32[7] in the file",
        ("extra", "unexpected"): "float32[2] in the file",
    }
    assert "are not this network's: 1 missing, 2 shape, 1 unexpected (stem.bias, head.weight, head.bias, ...)" in str(
        caught.value
    )
    assert made.state_dict().keys() == before.keys()
    assert made.state_dict()["blocks.0.stem.weight"].ne(state["stem.weight"]).any(), "nothing was loaded"


class Evil:
    """Pickled, it would write a file when it is read."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("evil"),)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("w.safetensors", None, "w.safetensors cannot be read (No such file or directory); give a file that exists"),
        ("w.safetensors", b"no", "w.safetensors is no safetensors file ("),
        ("w.pt", b"no", "w.pt holds more than weights, or none; save model.state_dict() alone with torch.save"),
        ("w.pt", [1, 2], "w.pt holds a list that is no state_dict of tensors; save model.state_dict()"),
        ("w.pt", {"a": Evil()}, "w.pt holds more than weights, or none; save model.state_dict() alone with torch.save"),
    ],
)
def test_what_is_no_file_of_weights_is_one_sentence(
    tmp_path: Path, name: str, content: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(ConfigError) as caught:
        begin(tmp_path / name)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil").exists()


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    """Also a number of a wider type that is infinite in the network's; nothing is loaded."""
    for odd in (torch.nan, torch.inf, 1e300):
        state = pretrained()
        state["stem.bias"] = state["stem.bias"].double()
        state["stem.bias"][0] = odd
        torch.save(state, tmp_path / "w.pt")
        made = network()
        before = {name: value.clone() for name, value in made.state_dict().items()}
        reason = r"'stem\.bias' of .* holds NaN, infinite numbers or some beyond float32; give weights of a healthy training"
        with pytest.raises(ConfigError, match=reason):
            load_weights(made, StartWeights.of(tmp_path / "w.pt", None))
        assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_training_begins_with_them_and_remembers_the_file(tmp_path: Path) -> None:
    made = make_network("mlp", num_blocks=2, num_classes=10, input_shape=SHAPE, seed=5)
    torch.save(made.state_dict(), tmp_path / "w.pt")
    run = tmp_path / "run"
    assert "begins with" in call(*TRAIN, "--weights", tmp_path / "w.pt", "--out", run).stderr
    start = load_tensors(run / "initial" / "block1.safetensors")
    own = made.blocks[1].state_dict()
    assert all(torch.equal(torch.from_numpy(start[f"net.{name}"].copy()), own[name]) for name in own if f"net.{name}" in start)
    assert sum(f"net.{name}" in start for name in own) > 4
    assert json.loads((run / "run.json").read_text())["weights"]["file"] == str(tmp_path / "w.pt")
    (tmp_path / "w.pt").unlink()
    assert "cannot go on with other.pt" in call("train", "--out", run, "--resume", "--weights", "other.pt", code=2).stderr
    call("train", "--out", run, "--resume", "--weights", tmp_path / "w.pt")
    result = call(*TRAIN, "--weights", tmp_path / "w.pt", "--out", tmp_path / "new", code=2)
    assert "cannot be read (No such file or directory)" in result.stderr
    assert not (tmp_path / "new").exists()
