"""e-prop: recurrent spiking layers learn from eligibility traces and the learning signal of a readout of their own.

Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein and Maass, "A solution to the learning dilemma for recurrent networks of
spiking neurons", Nature Communications 11:3625 (2020). With z the spikes of a layer and a readout that leaks by kappa:

    y_k,t = sum_j W_kj F_kappa(z_j)_t + b_k              trained by the loss of the task, at every time step
    L_j,t = sum_k B_jk (softmax(y_t) - label)_k          the learning signal; B = W, or random and fixed
    dW_ji = sum_t L_j,t F_kappa(e_ji)_t                  e the eligibility trace, F_kappa(a)_t = kappa F_kappa(a)_(t-1) + a_t

The eligibility trace is dz_j / dW_ji along the neuron's own memory, carried forward (`edgebll.learning.online.eligibility`):
for IF, LIF and CubaLIF the surrogate times the filtered spikes that come in, for ALIF with a second part for its threshold.
What is left out is the way over other neurons, which recurrent connections have. So without them, with symmetric feedback and
the reset by subtraction, it is backpropagation through time. OSTL (Bohnstingl et al. 2020) has the same traces within a layer,
and the error of the layers above besides, which would have to cross blocks.

Each layer has its own readout, where the paper's one layer has the network's. Firing rates are regularised as in the paper, if
c_reg is above 0:

    E_reg = 1/2 c_reg sum_j (f_av_j - f_target)^2        f_av the mean of z_j over samples and time steps
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.online.eligibility import EligibilityPassing
from edgebll.learning.online.readouts import EveryStep, TrainedReadouts
from edgebll.learning.online.step import OnlineStep, TimedBlock
from edgebll.learning.optimizers.optimizer import Optimizer, check_not_negative
from edgebll.learning.precision import Precision
from edgebll.learning.rule import Rule
from edgebll.learning.step import BlockStep

SYMMETRIC, RANDOM = "symmetric", "random"


@dataclass(frozen=True)
class EProp(Rule):
    """Options of e-prop.

    Attributes:
        chunk: time steps of a training step, as of DECOLLE; 0 for all steps of a sample at once.
        kappa: what a layer's readout keeps of a time step in the next, in [0, 1). Above 0 each weight has a trace of its own
            for each sample.
        feedback: "symmetric" (the learning signal comes back through the readout's weights) or "random" (through a fixed
            random matrix).
        c_reg: weight of the loss that keeps firing rates near f_target, at least 0.
        f_target: the firing rate it wants, in spikes a time step, in [0, 1]; the paper's 10 Hz are 0.01 of time steps of 1 ms.

    Examples:
        >>> from edgebll.learning import EProp
        >>> EProp(kappa=0.5, feedback="random").options()["kappa"]
        0.5
    """

    chunk: int = 0
    kappa: float = 0.0
    feedback: str = SYMMETRIC
    c_reg: float = 0.0
    f_target: float = 0.1

    name: ClassVar[str] = "eprop"
    summary: ClassVar[str] = "e-prop: recurrent spiking layers learn from eligibility traces and readouts."
    equation: ClassVar[str] = "L = sum over layers, mean over time, CE(W F_kappa(s)_t, y), by eligibility traces"
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.kappa < 1:
            raise ConfigError(f"eprop's kappa must lie in [0, 1), but is {self.kappa}")
        if self.feedback not in (SYMMETRIC, RANDOM):
            raise ConfigError(f"eprop's feedback must be {SYMMETRIC} or {RANDOM}, not {self.feedback!r}")
        check_not_negative("eprop's c_reg", self.c_reg)
        if not 0 <= self.f_target <= 1:
            raise ConfigError(f"eprop's f_target must lie in [0, 1] spikes a time step, but is {self.f_target}")

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        """A step that learns online."""
        passing = EligibilityPassing(self.kappa, self.name, rates=self.c_reg > 0)
        block = TimedBlock.of(network, index, self.name, self.chunk, passing)
        symmetric = self.feedback == SYMMETRIC
        objective = EveryStep(
            block.place,
            lambda: TrainedReadouts(block.features, block.place.num_classes, symmetric=symmetric),
            reads_out=not block.layers[-1].spikes,
            label_smoothing=self.label_smoothing,
            c_reg=self.c_reg,
            f_target=self.f_target,
        )
        return OnlineStep(block, objective, optimizer, batch_size, precision)
