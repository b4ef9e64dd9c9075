"""The energy of synaptic operations, estimated: the arithmetic alone, at 45 nm. Nothing here was measured.

Energies of an operation in a 45 nm process at 0.9 V, from M. Horowitz, "Computing's energy problem (and what we can do about
it)", ISSCC 2014, pages 10 to 14:

    int8      add 0.03 pJ    multiply 0.2 pJ
    float32   add 0.9 pJ     multiply 3.7 pJ

An accumulate (AC) is an addition, a multiply-accumulate (MAC) a multiplication and an addition. int8 is the lower end of
the range and float32 the upper one. Fetching weights, updating neurons, sending spikes and what a chip takes when idle are
left out; on most machines they are more than all of this.
"""

from __future__ import annotations

from typing import NamedTuple

#: Picojoules of an accumulate and of a multiply-accumulate.
_INT8, _FLOAT32 = (0.03, 0.2 + 0.03), (0.9, 3.7 + 0.9)
ASSUMPTIONS = "arithmetic alone, 45 nm, int8 to float32 (Horowitz, ISSCC 2014); no memory, neurons, links or idle power"


class EnergyRange(NamedTuple):
    """Nanojoules, from int8 to float32."""

    low_nj: float
    high_nj: float


def estimate(macs: float, acs: float) -> EnergyRange:
    """The energy of so many operations.

    Args:
        macs: multiply-accumulates.
        acs: accumulates.

    Examples:
        >>> from edgebll.learning.operations.energy_estimate import estimate
        >>> estimate(macs=0, acs=1000)
        EnergyRange(low_nj=0.03, high_nj=0.9)
    """
    low, high = ((acs * ac + macs * mac) / 1000 for ac, mac in (_INT8, _FLOAT32))
    return EnergyRange(low, high)
