"""Multi-layer feedback of BLL: a feedback network from the label backwards, one layer at each block, each fitted where it is.

The feedback layer of block k makes the targets of block k from those of block k + 1. As there is one target for each class, a
layer works on whole tables: T_k is (C, F_k), its row c the target of samples of class c, and beta_n = T_k[y_n].

    T_k = u(T_{k+1}) W_k^T + b_k,   T_{K-1} = identity (the one-hot labels), for the K - 1 blocks before the last
    u(T) = activation((T - mean over classes) / root mean square) / sqrt(F_{k+1})

(W_k, b_k) take one gradient step a batch on the match of T_k with the batch's class means m_c of the pooled output,
1/2 mean over the classes present of |T_k[c] - m_c|^2, and the table that follows is used; rows of absent classes stay as they
are. As |u_c| <= 1 with tanh, any step size below 1 is stable. Nothing is passed back but the table. It comes two training steps
late: with one, a block would have to wait for the next block's step on the batch before, and neighbours would take turns; with
two, all blocks work at the same time.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgebll.kernel.spec.edge_check import received_name
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.objective import BlockPlace, Objective, Tensors
from edgebll.learning.rules.bll.objective import BLLObjective

if TYPE_CHECKING:
    from edgebll.learning.rules.bll.rule import BLL

TABLE = "table"
#: Training steps by which the next block's table is late.
LAG = 2
WEIGHT, BIAS, TARGETS = "feedback.weight", "feedback.bias", "feedback.table"
_EPSILON = 1e-8


class ChainedObjective(BLLObjective):
    """The BLL loss with a feedback layer on the next block's targets.

    Args:
        above: T_{k+1} (C, F_{k+1}) of one step; needed at blocks before the last but one.
    """

    def __init__(self, rule: BLL, place: BlockPlace, above: Tensor | None = None) -> None:
        super().__init__(rule, place)
        self.above = above
        #: Whether T_{k+1} is the identity.
        self.is_first = place.index == place.num_blocks - 2

    def weighted(self, weight: Tensor) -> Objective:
        """Not with a table that other blocks wait for."""
        raise NotImplementedError

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        """The next block's targets."""
        if self.is_first:
            return ()
        features = self.features_of(self.place.shapes[self.place.index + 2])
        return (TensorSpec(self._came_as, "float32", (self.place.num_classes, features)),)

    @property
    def _came_as(self) -> str:
        return received_name(f"block{self.place.index + 1}", TABLE)

    def given(self, received: Tensors, x: Tensor) -> ChainedObjective:
        """With the next block's targets."""
        made = copy.copy(self)
        made.x, made.lr, made.above = x, received.get("lr"), received.get(self._came_as)
        return made

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """This block's targets, for the block before."""
        return {TABLE: feedback[TARGETS]} if self.place.index else {}

    def target_state(self) -> dict[str, Tensor]:
        """W_k (F_k, F_{k+1}), b_k (F_k) and T_k (C, F_k), all zero at first."""
        features, classes = self.features_of(self.place.output_shape), self.place.num_classes
        inputs = classes if self.is_first else self.features_of(self.place.shapes[self.place.index + 2])
        return {WEIGHT: torch.zeros(features, inputs), BIAS: torch.zeros(features), TARGETS: torch.zeros(classes, features)}

    def renew_targets(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """One gradient step on W_k and b_k, and the targets that follow."""
        inputs = self._inputs(feedback[WEIGHT])
        counts = y.sum(0)
        present = (counts > 0).to(a.dtype)
        means = (y.t() @ self.matched(a, y)) / (counts + (1.0 - present)).unsqueeze(1)
        seen = present.unsqueeze(1)
        error = seen / seen.sum().clamp(min=1.0) * (inputs @ feedback[WEIGHT].t() + feedback[BIAS] - means)
        weight = feedback[WEIGHT] - self.rule.feedback_lr * (error.t() @ inputs)
        bias = feedback[BIAS] - self.rule.feedback_lr * error.sum(0)
        table = seen * (inputs @ weight.t() + bias) + (1.0 - seen) * feedback[TARGETS]
        return {WEIGHT: weight, BIAS: bias, TARGETS: table}

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """beta_n = T_k[y_n], shape (B, F_k)."""
        return self.whole(y) @ feedback[TARGETS]

    def _inputs(self, weight: Tensor) -> Tensor:
        """u(T_{k+1}), shape (C, F_{k+1})."""
        table = self.above
        if table is None:
            table = torch.eye(self.place.num_classes, dtype=weight.dtype, device=weight.device)
        apart = table - table[:1]  # exactly zero where all classes still have one target: no rounding errors to scale up
        centred = apart - apart.mean(0, keepdim=True)
        scaled = centred / (centred.square().mean() + _EPSILON).sqrt()
        active = scaled.tanh() if self.rule.feedback_activation == "tanh" else scaled
        return active / math.sqrt(table.shape[1])
