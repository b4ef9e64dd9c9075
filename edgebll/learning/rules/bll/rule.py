"""Block-local learning (BLL): blocks match a target that a linear feedback head makes of the label.

Fokam, Nazeer, Mayr, Subramoney and Kappel, "A variational framework for local learning with probabilistic latent
representations" (ESANN): block output alpha and feedback beta are means of Gaussians of fixed variance s^2 per channel, the
posterior's mean is rho = (alpha + beta) / 2 (eq. 2), and the block's loss (eqs. 5, 6) is KL(rho || alpha) plus an entropy that
is constant for fixed variance. In closed form, with a_n the pooled output of sample n and beta_n = W y_n:

    L_match = match / (8 s^2) * mean_n ||a_n - beta_n||^2
    L_pred  = predict * CE(head(a), y)                                         (the paper's additional predictive target)
    L_corr  = decorrelate * 1/B^2 sum_{n != m} cos(a_n, a_m)^2                 (the entropy's role in practice; off by default)

For targets that are no classes, W has a constant besides and is the batch's least-squares solution: see
`edgebll.learning.rules.bll.least_squares`. For segmentation each point of a block's map is a sample with the shares of the
classes for its label, and W_c the mean of a over positions, weighted by the share of class c. Samples without a label count in
no term; a point of a map counts by the share of its pixels that have one.

W is fitted to every batch before it is used, never by the gradient of the block. In place of one layer W from the label to each
block, feedback may be a network of its own, a chain of layers from the label backwards: see
`edgebll.learning.rules.bll.chained_objective`.

Other forms of it, to find out which part does what, each have a file with their equations beside this one: `targets`,
`features` (the scale of the match), `variance`, `schedule`, `bayes`, `spread`, `reconstruction`, `latent`. All of them stand in
docs/reference/bll-forms.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.tasks import Task
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.objective import BlockPlace, Objective
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.precision import Precision
from edgebll.learning.rule import Rule
from edgebll.learning.rules.bll.chained_objective import LAG, TABLE, ChainedObjective
from edgebll.learning.rules.bll.latent import GAUSSIAN, RateObjective
from edgebll.learning.rules.bll.least_squares import LeastSquaresObjective
from edgebll.learning.rules.bll.objective import BLLObjective
from edgebll.learning.rules.bll.options_check import check_options, check_place, check_served
from edgebll.learning.step import BlockStep


@dataclass(frozen=True)
class BLL(Rule):
    """Options of block-local learning; the defaults are the best and steadiest found on Fashion-MNIST.

    Blocks but the last are counted k = 1..K - 1 of K.

    Attributes:
        pool: how a (B, C, ...) becomes a_n (B, C): "avg", "max" or "std" over space, or "none" (flatten).
        normalize: "none", "center_l2" (subtract the mean over channels, divide by the L2 norm) or "layer_norm", of each sample.
        match: weight of L_match.
        match_on: the scale of a_n that is matched: "raw", or behind `normalize`, feature by feature over the batch, "centred"
            (less its mean) or "standardised" (and over its standard deviation).
        match_growth: g, which makes that weight match (k / (K - 1))^g, so that early blocks, whose features are not the
            classes' yet, are pulled less. With 0 it is the same in every block.
        match_schedule: "constant", "decaying" (from twice that weight to 0) or "growing" (from 0 to twice).
        match_steps: training steps that the schedule runs over; then it stays. With 0 it runs as the learning rate falls.
        sigma: s, the standard deviation of alpha and beta.
        trace: time constant, in time steps, of the trace that stands for the rate of a spiking block's neurons, so that late
            spikes count more; with 0 all count alike.
        latent: what a block's latent variables are: "gaussian", or of spiking blocks "bernoulli" (whether a neuron spikes in a
            time step) or "poisson" (how often): then L_match is another, without sigma, see `latent`.
        variance: "fixed" (s^2) or "learned": the variance of each feature around its target, from s^2 on; s no longer counts.
        target: what beta_n is: "class_mean"; without the label "global_mean" or "zero"; "shuffled" (the mean of a wrong class);
            "random_codes" or "simplex" (codes of equal angles), which are drawn once.
        target_seed: draws codes, and says which wrong class.
        code_scale: root mean square of a code's numbers.
        predict: weight of L_pred.
        predict_growth: g, which makes that weight predict (k / (K - 1))^g.
        soften: share of the label that L_pred spreads over all classes in the first block, falling to none in the last.
        head: what predicts: "linear" (on a pooled map), "conv" (the same behind a convolution on the map at half its side),
            "auglocal" (a network of units like later ones) or "bayes" (no network: Bayes' rule on the targets).
        head_size: cells a side of the pooled map of the linear and the conv head.
        aux_depth: units of auglocal's network in the first block.
        decorrelate: weight of L_corr.
        decorrelate_pairs: "all" or "different" (pairs of different classes only).
        decorrelate_channels: weight of the squared correlations of features over the batch.
        entropy: weight of the entropy of Gaussian features over the batch, which is made large.
        spread: weight of what the features' standard deviations lack to 1.
        reconstruct: weight of rebuilding the block's own pooled input, standardised, from its output.
        reconstruct_decay: g, which makes that weight reconstruct ((K - k) / (K - 1))^g.
        feedback: how W is renewed from m_c, the mean of a_n over the batch's samples of class c (the least-squares solution for
            one-hot labels); columns of absent classes always stay as they are. "lstsq": W_c = sum_c a_n / (n_c + ridge);
            "ema": W_c = feedback_momentum W_c + (1 - feedback_momentum) m_c; "sgd": W_c = W_c - feedback_lr ((W_c - m_c) +
            feedback_decay W_c); "chain": a layer on the next block's targets, fitted to m_c by gradient with feedback_lr.
        feedback_activation: of the chain's layers, "tanh" or "none".

    Examples:
        >>> import edgebll
        >>> rule = edgebll.BLL(match=2.0, feedback="lstsq")
        >>> [(edge.source, edge.target) for edge in rule.edges(["block0", "block1"])]
        [('host', 'block0'), ('block0', 'block1')]
    """

    pool: str = "avg"
    normalize: str = "none"
    match: float = 1.0
    match_growth: float = 0.0
    sigma: float = 1.0
    predict: float = 1.0
    head_size: int = 3
    decorrelate: float = 0.0
    decorrelate_pairs: str = "all"
    feedback: str = "ema"
    ridge: float = 0.0
    feedback_momentum: float = 0.9
    feedback_lr: float = 0.9
    feedback_decay: float = 0.01
    feedback_activation: str = "tanh"
    target: str = "class_mean"
    target_seed: int = 0
    code_scale: float = 1.0
    match_on: str = "raw"
    match_schedule: str = "constant"
    match_steps: int = 0
    variance: str = "fixed"
    latent: str = "gaussian"
    trace: float = 0.0
    head: str = "linear"
    aux_depth: int = 2
    predict_growth: float = 0.0
    soften: float = 0.0
    entropy: float = 0.0
    spread: float = 0.0
    decorrelate_channels: float = 0.0
    reconstruct: float = 0.0
    reconstruct_decay: float = 0.0

    name: ClassVar[str] = "bll"
    inner_only: ClassVar[bool] = True
    summary: ClassVar[str] = "Block-local learning: the output matches what a feedback head makes of the label."
    equation: ClassVar[str] = (
        "L = match/(8 sigma^2) mean|pool(a) - W y|^2 + predict CE(head(a), y) + decorrelate mean cos(a_n, a_m)^2"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self)

    @property
    def has_feedback(self) -> bool:
        """Whether targets are of use: to be matched, or to predict by."""
        return self.match > 0 or self.head == "bayes"

    def check_task(self, task: Task) -> None:
        """All, as far as the options do not speak of classes."""
        check_served(self, task)

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        """As for any rule, once the options are known to serve the block.

        Raises:
            ConfigError: they do not.
        """
        place = BlockPlace.of(network, index)
        if not place.is_last:
            check_place(self, place, network.inputs_of(index).dtype)
        return super().make_step(network, index, optimizer, batch_size, precision)

    def time_weights(self, steps: int) -> tuple[float, ...]:
        """lambda^(T - t) over their sum, t = 1..T, lambda = exp(-1 / trace)."""
        if not self.trace:
            return ()
        left = [math.exp((t - steps + 1) / self.trace) for t in range(steps)]
        return tuple(value / sum(left) for value in left)

    def local_objective(self, place: BlockPlace) -> Objective:
        """The BLL loss."""
        if self.latent != GAUSSIAN:
            return RateObjective(self, place)
        if self.feedback == "chain":
            return ChainedObjective(self, place)
        return BLLObjective(self, place) if place.task.classes else LeastSquaresObjective(self, place)

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        """The chain of blocks; with chained feedback, each target table goes back to the block before, two steps late."""
        pairs = zip(blocks[1:-1], blocks[:-2], strict=True) if self.feedback == "chain" else ()
        return (*super().edges(blocks), *(EdgeSpec(source, target, (TABLE,), LAG) for source, target in pairs))
