"""Networks of several inputs: trained, exported, verified, merged and recovered like others, to the same bits on any boards."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from support.local_agents import agents
from support.several_inputs import BATCH, LATE, NETWORKS, image_and_readings, write_network
from support.slow import slow_after
from torch import nn

import edgebll
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.state.block_state import load_tensors
from edgebll_devices import load_block
from edgebll_export.bundles.quantize import quantize_bundle

EPOCHS = 6
OPTIONS: dict[str, Any] = {"batch_size": BATCH, "lr": 0.05, "momentum": 0.0, "threads": 1, "schedule": "constant"}


@pytest.mark.parametrize("entry", slow_after(1, reversed(NETWORKS)))
def test_a_network_of_two_inputs_from_training_to_recovery(entry: str, tmp_path: Path) -> None:
    network = write_network(tmp_path)
    data = image_and_readings()
    options = {**OPTIONS, "network": f"{network}:{entry}", "rule": "bll", "lr": 0.1, "momentum": 0.9}
    trained = edgebll.train(tmp_path / "trained", data=data, epochs=EPOCHS, **options)
    assert trained.summary["accuracy"] > 0.8, "neither input alone says more than half"
    assert edgebll.evaluate(trained).metrics == pytest.approx(trained.metrics, rel=1e-9)

    bundle = edgebll.export(trained, tmp_path / "bundle", state="initial")
    carried = [edge.tensors for edge in bundle.manifest.edges]
    last = ("a", "y", "readings") if entry == LATE else ("a", "y")
    assert carried == [("x", "y", "readings"), ("a", "y", "readings") if entry == LATE else ("a", "y"), last]
    edgebll.verify(bundle, steps=2).check()
    alone = edgebll.simulate(bundle, tmp_path / "alone", boards=0, epochs=EPOCHS)
    assert alone.metrics == pytest.approx(trained.metrics, rel=1e-3, abs=2e-3), "graphs and PyTorch learn alike"
    boards = edgebll.simulate(bundle, tmp_path / "boards", boards=2, epochs=EPOCHS, snapshot_every=5)
    assert (boards.state_sha256, boards.metrics) == (alone.state_sha256, alone.metrics)
    assert edgebll.evaluate(boards).metrics == pytest.approx(boards.metrics, rel=1e-9)

    merged = edgebll.merge(boards, tmp_path / "merged.onnx")
    session = onnxruntime.InferenceSession(merged.path)
    assert {given.name for given in session.get_inputs()} == {"x", "readings"}
    (boards.path / "summary.json").unlink()
    shutil.rmtree(boards.path / "bundle")
    recovered = edgebll.simulate(resume=boards.path)
    assert (recovered.state_sha256, recovered.metrics) == (alone.state_sha256, alone.metrics)


@pytest.mark.slow
def test_a_board_that_is_killed_leaves_the_bits_as_they_are(tmp_path: Path) -> None:
    options = {**OPTIONS, "network": f"{write_network(tmp_path)}:late", "epochs": 1}
    trained = edgebll.train(tmp_path / "trained", data=image_and_readings(), **options)
    bundle = edgebll.export(trained, tmp_path / "bundle", state="initial")
    alone = edgebll.simulate(bundle, tmp_path / "alone", boards=0, epochs=10)
    killed: list[int] = []

    def kill(event: Any) -> None:
        if event.kind == "step" and event.step >= 30 and not killed:
            killed.append(agents()["board2"])
            os.kill(killed[0], signal.SIGKILL)

    boards = edgebll.simulate(bundle, tmp_path / "boards", boards=3, epochs=10, snapshot_every=10, progress=kill)
    assert boards.state_sha256 == alone.state_sha256
    assert [recovery["board"] for recovery in boards.summary["recoveries"]] == ["board2"]


def _in_turn(folder: Path, entry: str, states: Path) -> list[nn.Module]:
    """The user's own blocks with weights of a run, as a program would load them."""
    scope: dict[str, Any] = {}
    exec(compile((folder / "net.py").read_text(), "net.py", "exec"), scope)
    blocks: list[nn.Module] = scope[entry](4)
    for index, block in enumerate(blocks):
        state = load_tensors(states / f"block{index}.safetensors")
        own = {name.removeprefix("net."): torch.from_numpy(value.copy()) for name, value in state.items() if "net." in name}
        block.load_state_dict(own)
    return blocks


def _batches(run: Path, epochs: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """What a run has seen, from the arrays that it keeps."""
    arrays = {name: np.load(run / "data" / f"{name}.npy") for name in ("x", "x.readings", "y")}
    held = edgebll.data.load_data(str(run / "data"), options={}).train
    rows = held.samples.rows
    found = []
    for epoch in range(epochs):
        for indices in edgebll.data.batch_order(len(held), BATCH, 0, epoch):
            image, readings, y = (torch.from_numpy(arrays[name][rows[indices]]) for name in ("x", "x.readings", "y"))
            found.append((image, readings, y))
    return found


@pytest.mark.parametrize("entry", NETWORKS)
def test_greedy_steps_are_those_of_a_plain_loop(entry: str, tmp_path: Path) -> None:
    """Nothing of edgebll's learning code takes part: the user's modules, a linear classifier a block, autograd and SGD."""
    network = write_network(tmp_path)
    options = {**OPTIONS, "optimizer_option": {"weight_decay": 0}, "nesterov": False, "rule": "greedy"}
    run = edgebll.train(
        tmp_path / "run", data=image_and_readings(), network=f"{network}:{entry}", epochs=1, augment="none", **options
    ).path
    blocks = _in_turn(tmp_path, entry, run / "initial")
    heads = []
    for index in range(2):
        state = load_tensors(run / "initial" / f"block{index}.safetensors")
        heads.append([torch.from_numpy(state[f"head.{name}"].copy()).requires_grad_() for name in ("weight", "bias")])
    for image, readings, y in _batches(run, 1):
        a = image
        for index, block in enumerate(blocks):
            reads = index == (2 if entry == LATE else 0)
            a = block(a, readings) if reads else block(a)
            scores = nn.functional.linear(a, *heads[index]) if index < 2 else a
            tensors = [*block.parameters(), *(heads[index] if index < 2 else ())]
            gradients = torch.autograd.grad(nn.functional.cross_entropy(scores, y), tensors)
            with torch.no_grad():
                for tensor, gradient in zip(tensors, gradients, strict=True):
                    tensor -= 0.05 * gradient
            a = a.detach()
    for expected, found in zip(blocks, _in_turn(tmp_path, entry, run / "checkpoint"), strict=True):
        for (name, mine), theirs in zip(expected.named_parameters(), found.parameters(), strict=True):
            torch.testing.assert_close(theirs, mine, rtol=1e-5, atol=1e-6, msg=name)


def test_a_whole_network_under_backprop_is_a_plain_loop(tmp_path: Path) -> None:
    network = write_network(tmp_path)
    options = {**OPTIONS, "optimizer_option": {"weight_decay": 0}, "nesterov": False, "rule": "backprop", "blocks": 1}
    run = edgebll.train(tmp_path / "run", data=image_and_readings(), network=f"{network}:Network", epochs=1, **options).path
    (model,) = _in_turn(tmp_path, "whole", run / "initial")
    for image, readings, y in _batches(run, 1):
        gradients = torch.autograd.grad(nn.functional.cross_entropy(model(image, readings), y), list(model.parameters()))
        with torch.no_grad():
            for tensor, gradient in zip(model.parameters(), gradients, strict=True):
                tensor -= 0.05 * gradient
    (found,) = _in_turn(tmp_path, "whole", run / "checkpoint")
    for mine, theirs in zip(model.parameters(), found.parameters(), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_refused_in_a_sentence(tmp_path: Path) -> None:
    network, data, out = write_network(tmp_path), image_and_readings(48), tmp_path / "wrong"
    options = {**OPTIONS, "network": f"{network}:late", "epochs": 1}
    trained = edgebll.train(tmp_path / "trained", data=data, **options)
    bundle = edgebll.export(trained, tmp_path / "bundle")
    image, readings, y = data["x"]["image"], data["x"]["readings"], data["y"]
    for given, told in (
        ({"x": image, "y": y}, r"takes readings float32\[5\] besides x, but .* has nothing"),
        ({"x": {"image": image, "level": readings}, "y": y}, r"but .* has level float32\[5\]"),
        ({"x": {"image": image, "readings": readings[:, :4]}, "y": y}, r"but .* has readings float32\[4\]"),
        ({"x": {"image": image, "readings": (readings > 0).astype(int)}, "y": y}, r"but .* has readings int64\[5\]"),
        ({"x": {"image": image, "readings": readings[:7]}, "y": y}, "has 48 samples, but 7 in readings; give one for each"),
    ):
        for call in (
            lambda data: edgebll.simulate(bundle, out, boards=0, data=data),
            lambda data: edgebll.evaluate(bundle, data=data),
            lambda data: edgebll.evaluate(trained, data=data),
        ):
            with pytest.raises(DataError, match=told) as caught:
                call(given)
            assert "\n" not in str(caught.value)
    for more, told in (
        (
            {"network": f"{network}:late", "data": {"x": image, "y": y}},
            "block2 takes 'readings', which is no input of the network",
        ),
        ({"network": "mlp", "data": data, "blocks": 2}, "mlp takes x alone, but the data have readings besides"),
        ({"network": f"{network}:Network", "data": data, "blocks": 2}, "is one module, and the data have readings besides x"),
        ({"network": f"{network}:late", "data": data, "rule": "backlink"}, "backlink .* reads readings too; use another rule"),
    ):
        with pytest.raises(ConfigError, match=told):
            edgebll.train(out, **{**options, **more})
    for samples, told in (
        ({"x": image}, "takes x, readings of each sample, not x, or not as many of each"),
        ({"x": image, "readings": readings[:7]}, "takes x, readings of each sample, not x, readings, or not as many of each"),
        (
            {"x": image, "readings": readings > 0},
            r"takes float32 readings of shape \(5,\), not bool of shape \(5,\) to calibrate",
        ),
    ):
        with pytest.raises(DataError, match=told):
            quantize_bundle(bundle.path, out, samples)
    assert not out.exists()


def test_in_int8_it_knows_as_much(tmp_path: Path) -> None:
    """Nearly: a bundle's forward graphs, and the merged model."""
    data = image_and_readings()
    options = {**OPTIONS, "network": f"{write_network(tmp_path)}:late", "rule": "greedy", "lr": 0.1, "momentum": 0.9}
    trained = edgebll.train(tmp_path / "trained", data=data, epochs=EPOCHS, **options)
    bundle = edgebll.export(trained, tmp_path / "bundle")
    samples = {"x": data["x"]["image"], "readings": data["x"]["readings"]}
    quantize_bundle(bundle.path, tmp_path / "int8", samples)
    whole, small = edgebll.evaluate(bundle), edgebll.evaluate(tmp_path / "int8", int8=True)
    assert whole.accuracy is not None
    assert whole.accuracy > 0.9
    assert small.accuracy == pytest.approx(whole.accuracy, abs=0.05)
    assert small.loss != whole.loss
    merged = edgebll.merge(trained, tmp_path / "int8.onnx", int8=True)
    assert merged.same_class is not None
    assert merged.same_class > 0.9


def test_a_block_in_a_program_of_ones_own_takes_them_by_name(tmp_path: Path) -> None:
    data = image_and_readings(48)
    trained = edgebll.train(tmp_path / "trained", data=data, epochs=1, network=f"{write_network(tmp_path)}:early", **OPTIONS)
    bundle = edgebll.export(trained, tmp_path / "bundle")
    (first, *_), readings = _in_turn(tmp_path, "early", trained.path / "checkpoint"), data["x"]["readings"]
    with load_block(bundle, "block0") as block:
        expected = first(torch.from_numpy(data["x"]["image"]), torch.from_numpy(readings)).detach().numpy()
        found: Any = block.predict(data["x"]["image"], {"readings": readings})
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        _, metrics = block.train(data["x"]["image"][:BATCH], data["y"][:BATCH], 0.1, received={"readings": readings[:BATCH]})
        assert np.isfinite(metrics["loss"])
        with pytest.raises(DataError, match="block0 got 48 samples in x and 7 in readings; give as many of each"):
            block.predict(data["x"]["image"], {"readings": readings[:7]})
        with pytest.raises(DataError, match="block0 expected to receive readings and got nothing"):
            block.predict(data["x"]["image"])
