"""NIR's primitives: which parameters each has, and what it does to the course of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Primitive:
    """A kind of node.

    Attributes:
        name: as NIR spells it.
        needed: parameters that a file must hold.
        defaults: parameters that it may leave out, with their values.
        whole: those of them that are whole numbers, and no arrays of a neuron each.
        taus: those that are times in seconds.
        spikes: whether it gives zeros and ones.
        keeps: whether it keeps something from one time step to the next.
    """

    name: str
    needed: tuple[str, ...] = ()
    defaults: tuple[tuple[str, float], ...] = ()
    whole: tuple[str, ...] = ()
    taus: tuple[str, ...] = ()
    spikes: bool = False
    keeps: bool = False

    @property
    def is_neuron(self) -> bool:
        """Whether it has a membrane: a neuron, or a leaky integrator without spikes."""
        return self.keeps and self.name != DELAY


INPUT, OUTPUT, GRAPH, DELAY = "Input", "Output", "NIRGraph", "Delay"
_RESET = (("v_reset", 0.0),)
_CONV = ("stride", "padding", "dilation", "groups")
_POOL = ("kernel_size", "stride", "padding")
_CUBA = ("tau_syn", "tau_mem", "r", "v_leak")
_CUBA_TAUS = ("tau_syn", "tau_mem")

#: Everything NIR 1.0.8 defines.
PRIMITIVES: dict[str, Primitive] = {
    one.name: one
    for one in (
        Primitive(INPUT, ("shape",), whole=("shape",)),
        Primitive(OUTPUT, ("shape",), whole=("shape",)),
        Primitive("Affine", ("weight", "bias")),
        Primitive("Linear", ("weight",)),
        Primitive("Scale", ("scale",)),
        Primitive("Conv1d", ("weight", *_CONV, "bias"), whole=_CONV),
        Primitive("Conv2d", ("weight", *_CONV, "bias"), whole=_CONV),
        Primitive("SumPool2d", _POOL, whole=_POOL),
        Primitive("AvgPool2d", _POOL, whole=_POOL),
        Primitive("Flatten", (), (("start_dim", 1), ("end_dim", -1)), whole=("start_dim", "end_dim")),
        Primitive("Threshold", ("threshold",), spikes=True),
        Primitive(DELAY, ("delay",), taus=("delay",), keeps=True),
        Primitive("I", ("r",), keeps=True),
        Primitive("IF", ("r", "v_threshold"), _RESET, spikes=True, keeps=True),
        Primitive("LI", ("tau", "r", "v_leak"), taus=("tau",), keeps=True),
        Primitive("LIF", ("tau", "r", "v_leak", "v_threshold"), _RESET, taus=("tau",), spikes=True, keeps=True),
        Primitive("CubaLI", _CUBA, (("w_in", 1.0),), taus=_CUBA_TAUS, keeps=True),
        Primitive("CubaLIF", (*_CUBA, "v_threshold"), (*_RESET, ("w_in", 1.0)), taus=_CUBA_TAUS, spikes=True, keeps=True),
    )
}
