"""The reference simulation of NIR graphs in numpy: one time step after the other, one node after the other.

`simulate` is what other rooms call; `neurons` has the equations, `transforms` the nodes without a memory.
"""

from edgebll_export.nir.simulation.simulate import Recording, simulate

__all__ = ["Recording", "simulate"]
