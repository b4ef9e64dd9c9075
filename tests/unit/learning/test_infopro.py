"""InfoPro against its formulas, pixel by pixel and pair by pair; the image's way through the blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from support import naive
from torch import Tensor

from edgebll.data import load_dataset
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.learning import SGD, BlockPlace, InfoPro, SideStreams, make_steps
from edgebll.learning.networks import make_network
from edgebll.learning.rules.infopro_objective import supervised_contrast

CLASSES = 4
#: One sample of class 0, none of class 2; all of one class; each class once.
BATCHES = {"absent and single classes": [0, 1, 1, 3, 3], "one class": [1, 1, 1], "one each": [0, 1, 2, 3]}
#: Block output and image.
SHAPES = {"map": ((3, 2, 2), (1, 3, 5)), "map of one pixel": ((3, 1, 1), (3, 2, 2)), "features": ((6,), (1, 2, 3))}
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
RULES = {
    "softmax": InfoPro(mean="0.4", std="0.2", hidden=5, decoder=2),
    "contrast": InfoPro(loss="contrast", mean="0.4", std="0.2", hidden=5, features=3, decoder=2, temperature=0.3),
    "reconstruction alone": InfoPro(predict_first=0, mean="0.4", std="0.2", decoder=2),
    "classifier alone": InfoPro(reconstruct_first=0, mean="0.4", std="0.2", hidden=5),
}


def stretched(x: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, the corner pixels of both on each other."""
    out = torch.zeros(*x.shape[:2], height, width, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            v = i * (x.shape[2] - 1) / (height - 1)
            w = j * (x.shape[3] - 1) / (width - 1)
            top, left = math.floor(v), math.floor(w)
            below, right = min(top + 1, x.shape[2] - 1), min(left + 1, x.shape[3] - 1)
            p, q = v - top, w - left
            upper = (1 - q) * x[:, :, top, left] + q * x[:, :, top, right]
            lower = (1 - q) * x[:, :, below, left] + q * x[:, :, below, right]
            out[:, :, i, j] = (1 - p) * upper + p * lower
    return out


def naive_reconstruction(a: Tensor, weights: naive.Weights, image: Tensor) -> Tensor:
    if a.dim() == 2:
        pixels = naive.linear(a, weights["decoder.0.weight"], weights["decoder.0.bias"]).reshape(image.shape)
    else:
        maps = naive.convolution(stretched(a, *image.shape[2:]), weights["decoder.1.weight"], padding=1)
        maps = naive.relu(naive.batch_norm(maps, weights["decoder.2.weight"], weights["decoder.2.bias"]))
        pixels = naive.convolution(maps, weights["decoder.4.weight"], padding=1)
        pixels = pixels + weights["decoder.4.bias"].reshape(1, -1, 1, 1)
    terms = []
    for z, t in zip(pixels.flatten(), image.flatten(), strict=True):
        target = min(1.0, max(0.0, float(t) * 0.2 + 0.4))
        share = 1 / (1 + torch.exp(-z))
        terms.append(-target * torch.log(share) - (1 - target) * torch.log(1 - share))
    return naive.total(terms) / image.numel()


def naive_scores(a: Tensor, weights: naive.Weights) -> Tensor:
    first = 0
    if a.dim() == 4:
        maps = naive.convolution(a, weights["classifier.0.weight"], padding=1)
        a = naive.relu(naive.batch_norm(maps, weights["classifier.1.weight"], weights["classifier.1.bias"])).mean((2, 3))
        first = 5
    hidden = naive.relu(naive.linear(a, weights[f"classifier.{first}.weight"], weights[f"classifier.{first}.bias"]))
    return naive.linear(hidden, weights[f"classifier.{first + 2}.weight"], weights[f"classifier.{first + 2}.bias"])


def naive_contrast(features: Tensor, labels: list[int], temperature: float) -> Tensor:
    z = [row / torch.sqrt((row * row).sum()) for row in features]
    terms = []
    for n, label in enumerate(labels):
        others = [m for m in range(len(labels)) if m != n]
        partners = [m for m in others if labels[m] == label]
        if not partners:
            continue
        normalizer = torch.log(naive.total([torch.exp((z[n] * z[m]).sum() / temperature) for m in others]))
        terms.append(-naive.total([(z[n] * z[p]).sum() / temperature - normalizer for p in partners]) / len(partners))
    return naive.total([*terms, 0.0 * features.sum()]) / max(1, len(terms))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", RULES)
def test_loss_and_gradients(name: str, batch: str, shape: str) -> None:
    rule, labels, (output, image_shape) = RULES[name], BATCHES[batch], SHAPES[shape]
    image = naive.normal(len(labels), *image_shape, seed=3)
    place = BlockPlace(1, 3, output, CLASSES, shapes=(image_shape, (9,), output, (CLASSES,)))
    first, last = (rule.reconstruct_first, rule.predict_first), (rule.reconstruct_last, rule.predict_last)
    assert (rule.weights(0, 3), rule.weights(1, 3)) == (first, last)
    objective = rule.objective(BlockPlace(0, 3, output, CLASSES, shapes=place.shapes)).given({}, image)

    def expected(a: Tensor, weights: naive.Weights) -> Tensor:
        parts = []
        if first[0]:
            parts.append(first[0] * naive_reconstruction(a, weights, image))
        if first[1]:
            scores = naive_scores(a, weights)
            contrast = rule.loss == "contrast"
            error = naive_contrast(scores, labels, 0.3) if contrast else naive.cross_entropy(scores, labels)
            parts.append(first[1] * error)
        return naive.total(parts)

    naive.check(objective, expected, naive.normal(len(labels), *output), naive.one_hot(labels, CLASSES))


@pytest.mark.parametrize("labels", [[2], [0, 1, 2]])
def test_samples_without_partners_have_no_contrast(labels: list[int]) -> None:
    features = naive.normal(len(labels), 5).requires_grad_()
    loss = supervised_contrast(features, naive.one_hot(labels, CLASSES), 0.07)
    loss.backward()
    assert float(loss.detach()) == 0
    assert features.grad is not None
    assert not features.grad.any()


def test_a_dead_sample_has_finite_gradients() -> None:
    features = naive.normal(4, 5)
    features[1] = 0.0
    features.requires_grad_()
    supervised_contrast(features, naive.one_hot([1, 1, 0, 0], CLASSES), 0.07).backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_weights_run_linearly_from_block_to_block() -> None:
    rule = InfoPro(reconstruct_first=6, predict_first=0, reconstruct_last=0, predict_last=3)
    assert [rule.weights(k, 5) for k in range(4)] == [(6, 0), (4, 1), (2, 2), (0, 3)]
    assert rule.weights(0, 2) == (6, 0)


def test_the_image_goes_as_far_as_it_is_needed() -> None:
    blocks = [f"block{k}" for k in range(5)]
    sides = [edge for edge in InfoPro().edges(blocks) if edge.tensors == ("image",)]
    assert sides == [EdgeSpec(f"block{k}", f"block{k + 1}", ("image",)) for k in range(3)]
    until = InfoPro(reconstruct_last=0).edges(blocks)
    assert [edge.target for edge in until if edge.tensors == ("image",)] == ["block1", "block2"]
    for few in (blocks[:1], blocks[:2]):
        assert len(InfoPro().edges(few)) == len(few)


def test_every_block_gets_the_same_image() -> None:
    network = make_network("resnet8", num_blocks=4, num_classes=10, input_shape=(1, 8, 8), seed=0)
    rule = InfoPro(mean="0.3053", std="0.3760")
    steps = make_steps(network, rule, SGD(), 4)
    data = load_dataset("digits", "train")
    image, y = torch.from_numpy(data.inputs(np.arange(4))), torch.from_numpy(data.targets(np.arange(4)))
    streams = SideStreams([step.spec for step in steps], rule.edges([step.name for step in steps]))
    x = image
    for step in steps:
        received = streams.take(step.name)
        assert all(torch.equal(tensor, image) for tensor in received.values())
        assert len(received) == (1 if step.name in ("block1", "block2") else 0)
        _, x, metrics, sent = step(step.initial_state(), x, y, {"lr": torch.tensor(0.1)}, received)
        streams.put(step.name, sent)
        assert torch.isfinite(metrics).all()
    target = rule.objective(BlockPlace(0, 2, (2, 8, 8), 10, shapes=((1, 8, 8), (2, 8, 8), (10,))))
    wanted = data.samples[:4].astype("float64") / 16
    flat = torch.zeros(4, 1, 8, 8, dtype=torch.float64)
    slope = target.given({}, image.double())._reconstruction(flat.requires_grad_())  # type: ignore[attr-defined]
    (gradient,) = torch.autograd.grad(slope, flat)  # (1/2 - target) / pixels
    torch.testing.assert_close(0.5 - gradient * flat.numel(), torch.from_numpy(wanted), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"loss": "hinge"}, "softmax or contrast"),
        ({"predict_last": -1.0}, "predict_last must not be negative"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"decoder": 0}, "at least 1"),
        ({"mean": "grey"}, "must be numbers such as"),
        ({"std": "0.5,0"}, "std must be above 0"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        InfoPro(**options)


@pytest.mark.parametrize(
    ("rule", "image", "reason"),
    [
        (InfoPro(), (3, 4, 4, 4), "the mean of each of 3 channels, not of 0"),
        (InfoPro(), (2, 4, 4), "the mean of each of 2 channels, not of 0"),
        (InfoPro(mean="1,2", std="1"), (3, 4, 4), "the mean of each of 3 channels, not of 2"),
        (InfoPro(reconstruct_first=0, predict_first=0), (1, 4, 4), "leave block0 without a loss"),
    ],
)
def test_what_cannot_be_reconstructed_is_refused(rule: InfoPro, image: tuple[int, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        rule.objective(BlockPlace(0, 2, (3, 4, 4), CLASSES, shapes=(image, (3, 4, 4), (CLASSES,))))
