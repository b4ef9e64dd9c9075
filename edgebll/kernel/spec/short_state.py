"""Tensors of a state that hold whole multiples of a unit a row, which boards may keep as integers.

The step function rounds them (`edgebll.learning.optimizers.rounded_state`); for every tensor NAME there is one of units,
UNIT + NAME, with a power of two for each place of the first axis.
"""

from __future__ import annotations

#: What the name of a tensor's units begins with, and that of the amount by which numbers are moved before they are rounded.
UNIT, DITHER = "unit.", "dither"
#: Bits of an integer.
SHORT_BITS = (16, 8)
#: The option of optimisers by which a state is rounded.
STATE_BITS = "state_bits"
