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
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.tasks import Task
from edgebll.learning.objective import BlockPlace, Objective
from edgebll.learning.rule import Rule
from edgebll.learning.rules.bll.chained_objective import LAG, TABLE, ChainedObjective
from edgebll.learning.rules.bll.least_squares import LeastSquaresObjective
from edgebll.learning.rules.bll.objective import BLLObjective


@dataclass(frozen=True)
class BLL(Rule):
    """Options of block-local learning; the defaults are the best and steadiest found on Fashion-MNIST.

    Attributes:
        pool: how a (B, C, ...) becomes a_n (B, C): "avg", "max" or "std" over space, or "none" (flatten).
        normalize: "none", "center_l2" (subtract the mean over channels, divide by the L2 norm) or "layer_norm".
        match: weight of L_match.
        sigma: s, the standard deviation of alpha and beta.
        match_growth: g, which makes that weight match (k / (K - 1))^g in block k = 1..K - 1 of K, so that early blocks, whose
            features are not the classes' yet, are pulled less. With 0 it is the same in every block.
        predict: weight of L_pred.
        head_size: cells a side of the head's pooled map.
        decorrelate: weight of L_corr.
        decorrelate_pairs: "all" or "different" (pairs of different classes only).
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

    name: ClassVar[str] = "bll"
    summary: ClassVar[str] = "Block-local learning: the output matches what a feedback head makes of the label."
    equation: ClassVar[str] = (
        "L = match/(8 sigma^2) mean|pool(a) - W y|^2 + predict CE(head(a), y) + decorrelate mean cos(a_n, a_m)^2"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("pool", self.pool, ("avg", "max", "std", "none"))
        _one_of("normalize", self.normalize, ("none", "center_l2", "layer_norm"))
        _one_of("decorrelate_pairs", self.decorrelate_pairs, ("all", "different"))
        _one_of("feedback", self.feedback, ("lstsq", "ema", "sgd", "chain"))
        _one_of("feedback_activation", self.feedback_activation, ("tanh", "none"))
        for name in ("match", "match_growth", "predict", "decorrelate", "ridge"):
            if getattr(self, name) < 0:
                raise ConfigError(f"BLL's {name} must not be negative, but is {getattr(self, name)}")
        if self.sigma <= 0 or self.head_size < 1:
            raise ConfigError("BLL's sigma must be above 0 and head_size at least 1")
        if self.match == 0 and self.predict == 0:
            raise ConfigError("BLL needs match or predict above 0: without both, the label never reaches the block")
        if self.feedback == "chain" and not (self.match > 0 and 0 < self.feedback_lr < 1):
            raise ConfigError("BLL's chained feedback needs match above 0 and feedback_lr between 0 and 1")

    def check_task(self, task: Task) -> None:
        """All, as far as the options do not speak of classes."""
        if task.classes and not task.per_pixel:
            return
        if self.feedback == "chain":
            raise ConfigError(
                f"bll's chained feedback keeps a target for each class, which {task.name} has not; use feedback=ema"
            )
        if self.decorrelate and task.per_pixel:
            raise ConfigError(f"bll's decorrelate compares all pairs of samples, too many for {task.name}; leave it at 0")
        if self.decorrelate and self.decorrelate_pairs == "different":
            raise ConfigError(f"bll's decorrelate_pairs=different needs classes, which {task.name} has not; use all")

    def match_at(self, place: BlockPlace) -> float:
        """Weight of L_match in a block that is not the last one."""
        weight: float = self.match * ((place.index + 1) / (place.num_blocks - 1)) ** self.match_growth
        return weight

    def local_objective(self, place: BlockPlace) -> Objective:
        """The BLL loss."""
        if self.feedback == "chain":
            return ChainedObjective(self, place)
        return BLLObjective(self, place) if place.task.classes else LeastSquaresObjective(self, place)

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        """The chain of blocks; with chained feedback, each target table goes back to the block before, two steps late."""
        pairs = zip(blocks[1:-1], blocks[:-2], strict=True) if self.feedback == "chain" else ()
        return (*super().edges(blocks), *(EdgeSpec(source, target, (TABLE,), LAG) for source, target in pairs))


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"BLL's {name} must be one of {', '.join(known)}, not {value!r}")
