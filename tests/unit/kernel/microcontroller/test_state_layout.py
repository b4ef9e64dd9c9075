"""Where a block's state lies, and tensors in it that are integers times a unit a row."""

from __future__ import annotations

import numpy as np
import pytest

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.tensor_places import state_layout
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.short_state import UNIT

ROWS = np.array([2.0**-9, 2.0**3, 2.0**-20], np.float32)
WHOLE = np.array([[[0], [127], [-128]], [[1], [2], [-3]], [[0], [0], [5]]], np.float32)
STATE = {"w": WHOLE * ROWS[:, None, None], "bias": np.array([0.1, -0.0], np.float32), UNIT + "w": ROWS, "n": np.array(7)}


def spec() -> BlockSpec:
    one = TensorSpec("x", "float32", (1, 1))
    state = tuple(TensorSpec(name, value.dtype.name, value.shape) for name, value in STATE.items())
    return BlockSpec("block0", one, TensorSpec("y", "float32", (1,)), TensorSpec("a", "float32", (1, 1)), state, (), (), ())


@pytest.mark.parametrize(("bits", "size"), [(32, 4 * 9 + 4 * 2 + 4 * 3 + 8), (16, 20 + 8 + 12 + 8), (8, 12 + 8 + 12 + 8)])
def test_a_state_goes_there_and_back_to_the_bit(bits: int, size: int) -> None:
    layout = state_layout(spec(), bits)
    assert layout.size_bytes == size
    region = bytearray(b"\xee" * size)
    layout.write(region, STATE)
    found = layout.read(bytes(region))
    assert list(found) == list(STATE)
    for name, value in STATE.items():
        assert found[name].dtype == value.dtype
        assert found[name].tobytes() == value.tobytes()
    kept = {place.tensor.name: place.elements(region) for place in layout.tensors}
    assert kept["w"].dtype.itemsize == bits // 8
    if bits < 32:
        np.testing.assert_array_equal(kept["w"], WHOLE)
    else:
        np.testing.assert_array_equal(kept["w"], STATE["w"])


@pytest.mark.parametrize("value", [2.0**-10, 128 * 2.0**-9, -129 * 2.0**-9, -0.0, np.nan, np.inf])
def test_a_state_of_other_numbers_is_refused_and_nothing_is_written(value: float) -> None:
    layout, region = state_layout(spec(), 8), bytearray(b"\xee" * 40)
    wrong = STATE["w"].copy()
    wrong[0, 0, 0] = value
    with pytest.raises(BundleError, match=r"numbers in 'w' that are no int8 multiples of the units in 'unit\.w'"):
        layout.write(region, {**STATE, "bias": np.ones(2, np.float32), "w": wrong})
    assert region == bytearray(b"\xee" * 40)
