"""Dropout with its generator in the state: statistics, replay, and the same masks in PyTorch and ONNX Runtime, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.graphs import run_lowered, to_model
from torch import Tensor, nn
from torch.func import functional_call

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.bundle.onnx_file import read_model
from edgebll.kernel.errors import ConfigError, ExportError
from edgebll.learning import SGD, Backprop, MaskedDropout, SeededDropout, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_devices.runtimes.reference.interpreter import Program
from edgebll_export import export_bundle, make_target, verify_bundle

#: Deviations are counted in standard deviations of truly random masks.
LIMIT = 4.5


def masks(shape: tuple[int, ...], p: float, steps: int, seed: int = 3) -> tuple[Tensor, float]:
    """Standardised masks (steps, elements) of consecutive steps, and the share kept."""
    dropout = SeededDropout(p, seed)
    share = dropout.kept / 4096
    kept = torch.stack([(dropout(torch.ones(shape)) > 0).double().flatten() for _ in range(steps)])
    return (kept - share) / (share * (1 - share)) ** 0.5, share


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(64, 128), (4, 8, 12, 12), (1, 997)])
class TestStatistics:
    def test_mean_and_spread(self, shape: tuple[int, ...], p: float) -> None:
        z, share = masks(shape, p, 200)
        steps, elements = z.shape
        assert share == pytest.approx(1 - p, abs=1 / 8192)
        assert abs(float(z.mean())) * (steps * elements) ** 0.5 < LIMIT
        assert float(z.mean(1).std()) * elements**0.5 < 1.25
        assert 0.9 < float(z.mean(0).std()) * steps**0.5 < 1.1

    def test_steps_are_independent(self, shape: tuple[int, ...], p: float) -> None:
        z, _ = masks(shape, p, 200)
        steps, elements = z.shape
        for lag in (1, 2, 3, 16):
            products = z[:-lag] * z[lag:]
            assert abs(float(products.mean())) * products.numel() ** 0.5 < LIMIT
        others = torch.triu_indices(steps, steps, 1)
        correlations = (z @ z.T / elements)[others[0], others[1]]
        assert 0.9 < float(correlations.std()) * elements**0.5 < 1.1

    def test_elements_are_independent(self, shape: tuple[int, ...], p: float) -> None:
        z, _ = masks(shape, p, 200)
        steps, elements = z.shape
        for distance in (1, 2, shape[-1], elements // 2):
            if distance < elements:
                products = z[:, :-distance] * z[:, distance:]
                assert abs(float(products.mean())) * products.numel() ** 0.5 < LIMIT
        pairs = torch.randint(elements, (2, 4000), generator=torch.Generator().manual_seed(0))
        pairs = pairs[:, pairs[0] != pairs[1]]
        correlations = (z[:, pairs[0]] * z[:, pairs[1]]).mean(0)
        assert 0.93 < float(correlations.std()) * steps**0.5 < 1.07


def test_the_expected_output_is_the_input() -> None:
    dropout, x = SeededDropout(0.3, 1), torch.full((32, 32), 2.0)
    mean = torch.stack([dropout(x) for _ in range(400)]).mean()
    assert float(mean) == pytest.approx(2.0, abs=0.01)


def test_seeds_and_modules_differ() -> None:
    x = torch.ones(64, 64)
    first, second = SeededDropout(0.5, 1), SeededDropout(0.5, 2)
    assert 0.4 < float((first(x) == second(x)).float().mean()) < 0.6
    torch.manual_seed(0)
    layers = [SeededDropout(), SeededDropout()]
    assert not torch.equal(layers[0].words, layers[1].words)
    torch.manual_seed(0)
    assert torch.equal(SeededDropout().words, layers[0].words)


def test_a_generator_does_not_repeat_itself() -> None:
    dropout = SeededDropout(0.5, 0)
    seen = set()
    for _ in range(2000):
        dropout(torch.ones(1))
        seen.add(tuple(dropout.words.tolist()))
    assert len(seen) == 2000
    assert all(0 < word < 2**24 for words in seen for word in words)


def test_evaluation_mode_and_p_0_change_nothing() -> None:
    x = torch.randn(5, 7)
    for dropout in (SeededDropout(0.5, 1).eval(), SeededDropout(0.0, 1)):
        before = dropout.words.clone()
        assert torch.equal(dropout(x), x)
        assert torch.equal(dropout.words, before)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
@pytest.mark.parametrize("kind", [SeededDropout, MaskedDropout])
def test_wrong_probabilities_are_refused(kind: type, p: float) -> None:
    with pytest.raises(ConfigError, match="at least 0 and below 1"):
        kind(p)


def test_masked_dropout_scales_what_the_mask_keeps() -> None:
    dropout = MaskedDropout(0.75)
    x = torch.tensor([1.0, 2.0])
    assert torch.equal(dropout(x, torch.tensor([True, False])), torch.tensor([4.0, 0.0]))
    assert torch.equal(dropout.eval()(x, torch.zeros(2)), x)


def drop(x: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    words = words.clone()
    return functional_call(SeededDropout(0.3, 0), {"words": words}, (x,)), words


@pytest.mark.parametrize("shape", [(16, 48), (2, 3, 10, 10), (1, 31), (7,)])
def test_masks_are_bit_identical_in_onnx_runtime_and_the_reference(shape: tuple[int, ...]) -> None:
    words = SeededDropout(0.3, 5).words
    for _ in range(5):
        x = torch.randn(shape)
        expected = drop(x, words)
        for target in ("onnx", "tensorrt-8.5"):
            model = to_model(drop, [x, words], make_target(target))
            given = {"i0": x.numpy(), "i1": words.numpy()}
            by_reference = Program(read_model(model.SerializeToString())).run(given)
            for actual, exact in zip(by_reference.values(), expected, strict=True):
                np.testing.assert_array_equal(actual, exact.numpy())
        for actual, exact in zip(run_lowered(drop, [x, words]), expected, strict=True):
            np.testing.assert_array_equal(actual, exact.numpy())
        words = expected[1]


def network(dropout: nn.Module) -> BlockNetwork:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), dropout, nn.Linear(32, 4))
    return BlockNetwork([block], num_classes=4, input_shape=(6,))


def test_the_training_step_replays() -> None:
    (step,) = make_steps(network(SeededDropout(0.4, 9)), Backprop(), SGD(), 8)
    x, y, scalars = torch.randn(8, 6), torch.eye(4).repeat(2, 1), {"lr": torch.tensor(0.1)}
    state = step.initial_state()
    second, first_output, _, _ = step(state, x, y, scalars)
    again, output_again, _, _ = step(state, x, y, scalars)
    third, second_output, _, _ = step({**second, **{k: v for k, v in state.items() if "words" not in k}}, x, y, scalars)
    assert torch.equal(first_output, output_again)
    assert all(torch.equal(second[name], again[name]) for name in second)
    assert not torch.equal(first_output, second_output)
    assert not torch.equal(second["net.2.words"], third["net.2.words"])


def test_it_exports_and_verifies(tmp_path: Path) -> None:
    dropped = network(SeededDropout(0.4, 9))
    export_bundle(dropped, rule=Backprop(), optimizer=SGD(), batch_size=8, path=tmp_path / "b")
    rows = verify_bundle(tmp_path / "b", network=dropped)
    assert [row for row in rows if row.failed or row.by_rounding] == []
    (words,) = [row for row in rows if row.tensor.startswith("net.2.words")]
    assert words.max_abs_error == 0.0
    (block,) = open_bundle(tmp_path / "b").manifest.blocks
    assert "net.2.words" not in block.forward_state


class Functional(nn.Module):
    """Draws without a layer that a seeded one could stand in for."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.4, self.training)


def test_dropout_without_a_layer_is_refused_with_the_replacement(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"layer '2'.*SeededDropout or MaskedDropout of edgebll.learning.*or set p to 0"):
        export_bundle(network(Functional()), rule=Backprop(), optimizer=SGD(), batch_size=8, path=tmp_path / "b")


@pytest.mark.parametrize(
    ("layer", "channel"),
    [(nn.Dropout, (4,)), (nn.Dropout1d, (4,)), (nn.Dropout2d, (2, 2)), (nn.Dropout3d, (1, 2, 2))],
)
def test_a_seeded_layer_stands_in_for_ordinary_dropout(
    layer: Callable[[float], nn.Module], channel: tuple[int, ...], tmp_path: Path
) -> None:
    own = nn.Sequential(nn.Unflatten(1, (8, *channel)), layer(0.4), nn.Flatten())
    dropped = network(own)
    export_bundle(dropped, rule=Backprop(), optimizer=SGD(), batch_size=8, path=tmp_path / "b")
    rows = verify_bundle(tmp_path / "b", network=dropped)
    assert [row for row in rows if row.failed] == []
    assert type(own[1]) is layer
    manifest = open_bundle(tmp_path / "b").manifest
    assert "net.2.1.words" in {tensor.name for tensor in manifest.blocks[0].state}
    assert "stands in for layer '2.1'" in manifest.recipe["notes"]["block0"][0]


def test_the_layer_that_stands_in_drops_as_it_would() -> None:
    (step,) = make_steps(network(nn.Dropout(0.4)), Backprop(), SGD(), 8)
    state, dropped = step.initial_state(), []
    step.module[3].register_forward_pre_hook(lambda module, inputs: dropped.append(inputs[0].detach()))
    for _ in range(50):
        state = step(state, torch.ones(8, 6), torch.eye(4).repeat(2, 1), {"lr": torch.tensor(0.0)}).state
    seen = torch.stack(dropped)
    assert float((seen == 0).float().mean()) == pytest.approx(0.4, abs=0.02)
    assert not torch.equal(seen[0], seen[1])


def test_channels_are_dropped_whole() -> None:
    x = SeededDropout(0.5, 3, whole_channels=True)(torch.ones(16, 32, 3, 3))
    per_channel = x.flatten(2)
    assert torch.equal(per_channel, per_channel[..., :1].expand_as(per_channel))
    assert set(per_channel.unique().tolist()) == {0.0, 2.0}


def test_ordinary_dropout_of_nothing_exports(tmp_path: Path) -> None:
    plain = network(nn.Dropout(0.0))
    export_bundle(plain, rule=Backprop(), optimizer=SGD(), batch_size=8, path=tmp_path / "b")
    assert not any(row.failed for row in verify_bundle(tmp_path / "b", network=plain))
