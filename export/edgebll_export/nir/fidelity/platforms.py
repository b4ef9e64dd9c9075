"""What platforms take of NIR, and how they compute it.

The lists of primitives are those that NIR publishes (https://neuroir.org/docs/supported_primitives, generated from the tools'
converters; read at commit 7232ada6 of github.com/neuromorphs/NIR), in the direction from NIR. How chips compute is from the
tools and papers named at each.
"""

from __future__ import annotations

from dataclasses import dataclass

EXACT, APPROXIMATE, UNSUPPORTED = "exact", "approximate", "unsupported"
_WEIGHTS = ("Affine", "Linear", "Conv1d", "Conv2d", "Scale")


@dataclass(frozen=True)
class Platform:
    """A chip or a simulator.

    Attributes:
        name: it.
        through: the tool that reads NIR for it.
        chip: whether it is hardware.
        primitives: what that tool takes.
        weights: why weights are not what they were; empty where they are.
        levels: largest whole number that a weight can be there; 0 for floats. Weights that are multiples of one number up to
            so often are what they were.
        neurons: why neurons do not compute what forward Euler does; empty where they do.
        source: where the two reasons are from.
    """

    name: str
    through: str
    chip: bool
    primitives: tuple[str, ...]
    weights: str = ""
    levels: int = 0
    neurons: str = ""
    source: str = ""

    def reason(self, kind: str) -> str:
        """Why it computes a primitive that it takes in another way; empty where it does not.

        Args:
            kind: the primitive.
        """
        if kind in _WEIGHTS:
            return self.weights
        return self.neurons if kind in ("CubaLI", "CubaLIF", "I", "IF", "LI", "LIF") else ""


PLATFORMS = (
    Platform(
        "SpiNNaker2",
        "py-spinnaker2",
        True,
        ("Conv1d", "Conv2d", "Flatten", "Affine", "Linear", "CubaLIF", "IF", "LIF", "SumPool2d"),
        weights="weights are whole numbers of 8 bits",
        levels=127,
        source="lif_spinnaker2.csv of NIR's paper, recorded with forward Euler and whole weights",
    ),
    Platform(
        "Loihi 2",
        "Lava-DL",
        True,
        ("Conv2d", "Flatten", "Affine", "Linear", "CubaLIF", "IF", "LIF", "SumPool2d"),
        weights="weights are whole numbers of 8 bits",
        levels=127,
        neurons="decays have 12 bits, potentials are whole numbers",
        source="nir_to_lava.py of NIR's paper",
    ),
    Platform(
        "Speck",
        "Sinabs",
        True,
        ("Conv1d", "Conv2d", "Flatten", "Affine", "IF", "SumPool2d"),
        weights="weights have 8 bits",
        levels=127,
        neurons="potentials have 16 bits, and a reset subtracts the threshold",
        source="documentation of Sinabs, dynapcnn; its LI and LIF are of the simulator alone",
    ),
    Platform(
        "Xylo",
        "Rockpool",
        True,
        ("Affine", "Linear", "CubaLIF", "LI", "LIF"),
        weights="weights have 8 bits",
        levels=127,
        neurons="decays are shifts by whole bits, states have 16 bits",
        source="documentation of Rockpool, Xylo",
    ),
    Platform(
        "BrainScaleS-2",
        "hxtorch",
        True,
        ("Linear", "CubaLI", "CubaLIF"),
        weights="weights have 6 bits and a sign",
        levels=63,
        neurons="neurons are analogue: they compute in continuous time, each a little differently",
        source="documentation of BrainScaleS-2",
    ),
    Platform("Norse", "norse 1.1.0", False, ("Conv2d", "Flatten", "Affine", "CubaLIF", "IF", "LI", "LIF", "SumPool2d")),
    Platform(
        "snnTorch", "snntorch 1.0.0", False, ("Conv2d", "Flatten", "Affine", "Linear", "CubaLIF", "IF", "LIF", "AvgPool2d")
    ),
    Platform(
        "Sinabs",
        "sinabs",
        False,
        ("Conv1d", "Conv2d", "Flatten", "Affine", "IF", "LI", "LIF", "SumPool2d"),
        neurons="several spikes a step, a reset subtracts the threshold, decays are exponential",
        source="sinabs/nir.py, which makes IAFSqueeze, LIFSqueeze and ExpLeakSqueeze",
    ),
    Platform("Rockpool", "rockpool", False, ("Affine", "Linear", "CubaLIF", "LI", "LIF"), neurons="decays are exponential"),
    Platform("Nengo", "nengo", False, ("Affine", "LI", "LIF"), neurons="neurons are solved exactly between steps"),
    Platform(
        "Spyx",
        "spyx",
        False,
        (
            *("Conv1d", "Conv2d", "Delay", "Flatten", "Affine", "Linear", "Scale"),
            *("CubaLIF", "I", "IF", "LIF", "SumPool2d", "Threshold"),
        ),
    ),
)
