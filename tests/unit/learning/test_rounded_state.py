"""States that are whole multiples of a unit a row, judged by the rounding written out number by number in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.short_state import DITHER, UNIT
from edgebll.learning import SGD, Adam, Optimizer
from edgebll.learning.optimizers.parameter_groups import ParameterGroups

F = np.float32
LR = torch.tensor(0.1)
Arrays = dict[str, np.ndarray]


def plain_sgd(state_bits: int) -> SGD:
    return SGD(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0, state_bits=state_bits)


def started(optimizer: Optimizer, *values: Tensor) -> dict[str, Tensor]:
    """A state of parameters w0, w1, ... before the first step."""
    parameters = {f"w{i}": value for i, value in enumerate(values)}
    return {**parameters, **optimizer.initial_state(parameters)}


def stepped(optimizer: Optimizer, state: dict[str, Tensor], *gradients: Tensor) -> dict[str, Tensor]:
    names = [f"w{i}" for i in range(len(gradients))]
    parameters = {name: state[name] for name in names}
    return {**state, **optimizer.update(parameters, dict(zip(names, gradients, strict=True)), state, LR)}


def rounded_by_hand(
    bits: int, old: np.ndarray, unit: np.ndarray, new: np.ndarray, dither: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `new` in float64, each in a unit that follows from `old`."""
    most, levels = 2 ** (bits - 1), 2 ** (24 - bits)
    along = {16: 193, 8: 49471}[bits]
    result, units = np.zeros_like(new), unit.copy()
    for row, (before, after) in enumerate(zip(old.reshape(len(old), -1), new.reshape(len(new), -1), strict=True)):
        largest = max(abs(float(v)) for v in before)
        if largest > float(unit[row]) * most * 0.75:
            units[row] = unit[row] * 2
        elif largest < float(unit[row]) * most / 8:
            units[row] = max(float(unit[row]) / 2, 2.0**-10 / most)
        for place, value in enumerate(after):
            amount = (place * along % levels + 0.5) / levels + dither
            amount = amount - math.floor(amount) - 0.5
            # Both sums as float32 rounds them.
            moved = float(F(F(float(value) / float(units[row])) + F(amount)))
            whole = round(min(max(moved, -most), most - 1))
            result.reshape(len(new), -1)[row, place] = whole * float(units[row])
    return result, units


@pytest.mark.parametrize("bits", [16, 8])
def test_steps_round_as_written_out_by_hand(bits: int) -> None:
    """Momentum and weights of two and four axes over steps in which gradients grow and shrink, so that units do too."""
    torch.manual_seed(bits)
    optimizer = SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0, state_bits=bits)
    state = started(optimizer, torch.randn(3, 5) * 0.2, torch.randn(4, 2, 3, 1), torch.randn(6))
    units_seen = set()
    for step in range(30):
        gradients = [torch.randn(value.shape) * 10.0 ** (step % 15 - 6) for value in (state["w0"], state["w1"], state["w2"])]
        new = stepped(optimizer, state, *gradients)
        for number, gradient in enumerate(gradients):
            name = f"w{number}"
            moment = F(0.9) * state["momentum." + name].numpy() + gradient.numpy()
            weight = state[name].numpy() - F(0.1) * moment
            for key, value in ((name, weight), ("momentum." + name, moment)):
                if number < 2:
                    old, unit = state[key].numpy(), state[UNIT + key].numpy()
                    value, units = rounded_by_hand(bits, old, unit, value, float(state[DITHER]))
                    np.testing.assert_array_equal(new[UNIT + key].numpy(), units)
                    units_seen |= set((units / unit).tolist())
                np.testing.assert_array_equal(new[key].numpy().view(np.uint32), value.view(np.uint32))
        state = new
    assert units_seen == {0.5, 1.0, 2.0}
    assert not any(name.startswith(UNIT) and "w2" in name for name in state), "tensors of one axis stay float32"


@pytest.mark.parametrize("bits", [16, 8])
def test_changes_of_a_tenth_of_a_unit_come_through_on_average_and_by_rounding_to_nearest_they_are_lost(bits: int) -> None:
    torch.manual_seed(1)
    optimizer = plain_sgd(state_bits=bits)
    state = started(optimizer, torch.rand(8, 40) * 0.3 + 0.05)
    start, unit = state["w0"], state[UNIT + "w0"][:, None]
    gradient = unit * torch.ones(8, 40)  # times the learning rate, a tenth of a unit
    nearest = start
    for _ in range(250):
        state = stepped(optimizer, state, gradient)
        nearest = torch.round((nearest - LR * gradient) / unit) * unit
    torch.testing.assert_close(nearest, start, rtol=0, atol=0)
    moved = (start - state["w0"]) / unit
    assert (moved - 25).abs().max() <= 2
    assert abs(float(moved.mean()) - 25) < 0.5


def test_gradients_of_any_size_are_rounded_without_bias() -> None:
    """Sums of random changes are those of float64 within a unit or so, however many steps there were."""
    torch.manual_seed(2)
    optimizer = plain_sgd(state_bits=8)
    state = started(optimizer, torch.randn(6, 30) * 0.1)
    unit, exact = state[UNIT + "w0"][:, None], state["w0"].double()
    for _ in range(400):
        gradient = torch.randn(6, 30) * unit * 2
        exact = exact - 0.1 * gradient.double()
        state = stepped(optimizer, state, gradient)
    error = (state["w0"].double() - exact) / unit
    assert float(error.abs().mean()) < 8, "as of random rounding: the root of 400 steps, of a third of a unit"
    assert abs(float(error.mean())) < 0.6


@pytest.mark.parametrize("bits", [16, 8])
def test_what_does_not_change_stays_to_the_bit_for_all_amounts(bits: int) -> None:
    most = 2 ** (bits - 1)
    whole = torch.tensor([[most * 0.75, 1.0, 0.0, -1.0, -most * 0.7, most / 2 - 1, 3.0]])
    optimizer = plain_sgd(state_bits=bits)
    state = started(optimizer, whole * 2.0**-20)
    start = state["w0"]
    state[UNIT + "w0"] = torch.tensor([2.0**-20])
    for _ in range(300):
        state = stepped(optimizer, state, torch.zeros(1, 7))
        torch.testing.assert_close(state["w0"], start, rtol=0, atol=0)


def test_a_row_saturates_and_its_unit_grows_until_it_holds_what_comes() -> None:
    optimizer = plain_sgd(state_bits=8)
    state = started(optimizer, torch.full((1, 4), 0.25))
    state = stepped(optimizer, state, torch.full((1, 4), -1000.0))
    assert float(state["w0"].max()) == 127 * 2.0**-7, "the largest there is in that unit"
    for doublings in range(1, 6):
        state = stepped(optimizer, state, torch.full((1, 4), -1000.0))
        assert float(state["w0"].max()) == 127 * 2.0 ** (doublings - 7)
        assert float(state[UNIT + "w0"]) == 2.0 ** (doublings - 7)
    for _ in range(3):
        state = stepped(optimizer, state, torch.zeros(1, 4))
    assert abs(float(state["w0"].max()) - 127 * 2.0**-2) < 2.0**-1
    assert float(state[UNIT + "w0"]) == 2.0**-1


def test_of_adam_second_moments_stay_exact() -> None:
    torch.manual_seed(3)
    rounding, plain = Adam(state_bits=8), Adam()
    value, gradient = torch.randn(4, 5), torch.randn(4, 5)
    state, exact = started(rounding, value), started(plain, value)
    assert {name for name in state if name.startswith(UNIT)} == {UNIT + "w0", UNIT + "moment1.w0"}
    exact["w0"] = state["w0"]
    after, wanted = stepped(rounding, state, gradient), stepped(plain, exact, gradient)
    torch.testing.assert_close(after["moment2.w0"], wanted["moment2.w0"], rtol=0, atol=0)
    distance = (after["w0"] - wanted["w0"]).abs() / after[UNIT + "w0"][:, None]
    assert 0 < float(distance.max()) < 1


def test_groups_of_parameters_round_as_their_optimiser_does() -> None:
    base = plain_sgd(state_bits=16)
    grouped = ParameterGroups.of(base, {"w0": 0.5}, {})
    state = started(grouped, torch.ones(2, 3) * 0.3)
    after = stepped(grouped, state, torch.full((2, 3), 0.01))
    whole = after["w0"] / after[UNIT + "w0"][:, None]
    torch.testing.assert_close(whole, whole.round(), rtol=0, atol=0)
    assert grouped.options()["state_bits"] == 16


def test_a_state_of_float32_is_rounded_to_nearest_once_and_then_stays() -> None:
    torch.manual_seed(4)
    optimizer = SGD(lr=0.1, state_bits=16)
    value = {"w0": torch.randn(3, 4), "momentum.w0": torch.randn(3, 4) * 1e-3}
    first = {**value, **optimizer.settled(value, ["w0"])}
    for name in value:
        assert float(((first[name] - value[name]) / first[UNIT + name][:, None]).abs().max()) <= 0.5
    again = {**first, **optimizer.settled(first, ["w0"])}
    assert all(torch.equal(again[name], first[name]) for name in first)
    fewer = SGD(lr=0.1, state_bits=8).settled(first, ["w0"])
    assert not torch.equal(fewer["w0"], first["w0"])
    assert bool((torch.frexp(fewer[UNIT + "w0"]).mantissa == 0.5).all())
    assert SGD(lr=0.1).settled(value, ["w0"]) == {"momentum.w0": value["momentum.w0"]}


@pytest.mark.parametrize("bits", [0, 12, 64])
def test_other_numbers_of_bits_are_refused(bits: int) -> None:
    with pytest.raises(ConfigError, match=f"state_bits must be 32, 16 or 8, but is {bits}"):
        SGD(state_bits=bits)


def test_options_tell_of_bits_only_where_there_are_fewer() -> None:
    assert "state_bits" not in SGD().options()
    assert Adam(state_bits=8).options()["state_bits"] == 8
