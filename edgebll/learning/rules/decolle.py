"""DECOLLE: every layer of spiking neurons learns at every time step, from a fixed random readout of its own.

Kaiser, Mostafa and Neftci, "Synaptic plasticity dynamics for deep continuous local learning (DECOLLE)", Frontiers in
Neuroscience 14:424 (2020). S are the spikes of a layer, P the trace of what comes into it, U its potentials less the threshold:

    Y_t = G S_t                                       G random, fixed
    L = sum over layers, mean over time steps, of the loss of Y_t and the label
    dL / dW_ij = sum_t (sum_k G_ki dL_t / dY_k,t) s'(U_i,t) P_j,t

No error passes from layer to layer nor back in time: P is carried forward instead (`edgebll.learning.online.traces`), and what
a spike does to its own neuron's future by the reset is left out of the gradient. So memory does not grow with time. Without
recurrent connections and with the reset by subtraction this is the whole gradient of a layer's loss, that of backpropagation
through time; with the reset to a value, as with recurrent connections, it is its part of one step.

To the loss come the paper's penalties of potentials, lambda1 mean_i [U_i + 0.01]+ + lambda2 [0.1 - mean_i U_i]+, if asked for.

The paper's loss is the smooth L1 distance of Y and the label, here it is the task's own. Its P, Q and R are those of its
neuron, which is CubaLIF with the reset by subtraction; here each neuron has the trace of its own filters. The network's last
layer has a readout that is trained, for its own potentials are what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebll.learning.networks import BlockNetwork
from edgebll.learning.online.passing import Passing
from edgebll.learning.online.readouts import EveryStep, FixedReadouts
from edgebll.learning.online.step import OnlineStep, TimedBlock
from edgebll.learning.optimizers.optimizer import Optimizer, check_not_negative
from edgebll.learning.precision import Precision
from edgebll.learning.rule import Rule
from edgebll.learning.step import BlockStep


@dataclass(frozen=True)
class Decolle(Rule):
    """Options of DECOLLE.

    Attributes:
        chunk: time steps of a training step, a divisor of those of a sample: weights change after each, and memory is that of
            so many, however long samples are. 0 for all steps of a sample at once.
        lambda1: weight of the penalty of potentials near the threshold and above, [U + 0.01]+.
        lambda2: weight of the penalty where a layer's mean potential is low, [0.1 - U]+.

    Examples:
        >>> from edgebll.learning import Decolle
        >>> Decolle(chunk=1).options()["chunk"]
        1
    """

    chunk: int = 0
    lambda1: float = 0.0
    lambda2: float = 0.0

    name: ClassVar[str] = "decolle"
    summary: ClassVar[str] = "DECOLLE: spiking layers learn at every time step from fixed random readouts."
    equation: ClassVar[str] = "L = sum over layers, mean over time, CE(G s_t, y), within a time step"
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("decolle's lambda1", self.lambda1)
        check_not_negative("decolle's lambda2", self.lambda2)

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        """A step that learns online."""
        block = TimedBlock.of(network, index, self.name, self.chunk, Passing(potentials=bool(self.lambda1 or self.lambda2)))
        objective = EveryStep(
            block.place,
            lambda: FixedReadouts(block.features, block.place.num_classes),
            reads_out=not block.layers[-1].spikes,
            label_smoothing=self.label_smoothing,
            lambda1=self.lambda1,
            lambda2=self.lambda2,
        )
        return OnlineStep(block, objective, optimizer, batch_size, precision)
