"""BLL's feedback head where targets are no classes: a linear map with a constant, fitted to each batch by least squares.

With z_n = (1, t_n), t_n what the task lets a feedback head see of the target (`Task.feedback_target`), and a_n the pooled
output, Z (B, D + 1) and A (B, F) of a batch:

    M = A^T Z (Z^T Z + r I)^-1,   r = ridge + 1e-2 trace(Z^T Z) / (D + 1),      beta_n = W z_n

the minimiser of sum_n |a_n - M z_n|^2 + r |M|^2 (ridge regression: Hastie, Tibshirani and Friedman, "The elements of
statistical learning", 2nd ed., eq. 3.44). For one-hot targets without the constant and the second part of r it is the mean of
each class, W_c = sum_c a_n / (n_c + ridge), which is what `objective` computes. The relative part keeps batches solvable that
are small or all alike. W follows M as it does for classes: "lstsq": W = M; "ema": W = momentum W + (1 - momentum) M. "sgd"
solves nothing, but takes a gradient step on the batch's mean squared error, normalised by the mean of |z_n|^2:

    W = W - feedback_lr ((W Z^T - A^T) Z / sum_n |z_n|^2 + feedback_decay W)
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning.objective import Tensors
from edgebll.learning.rules.bll.objective import FEEDBACK, BLLObjective

#: Part of the mean of Z^T Z's diagonal that is added to it: float32 solves to four digits then, however alike the targets are.
_RELATIVE_RIDGE = 1e-2
#: Unknowns that a graph solves for at most.
_MOST = 128


class LeastSquaresObjective(BLLObjective):
    """The BLL loss with feedback from targets of any kind."""

    def target_state(self) -> dict[str, Tensor]:
        """W (features, D + 1), zero at first.

        Raises:
            ConfigError: there are too many unknowns to solve for.
        """
        columns = self._seen(torch.zeros(self.place.target(1).shape)).shape[1]
        if self.rule.feedback != "sgd" and columns > _MOST:
            raise ConfigError(
                f"bll's feedback {self.rule.feedback} solves for at most {_MOST} numbers of a target, and here are {columns}; "
                "use feedback=sgd"
            )
        return {FEEDBACK: torch.zeros(self.features_of(self.place.output_shape), columns)}

    def renew_targets(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Renew W from this batch, see the module; it stays where no sample counts."""
        old, counts = feedback[FEEDBACK], self.place.labelled(y, self.weight)
        new = self._renewed(old, self._seen(y), self.matched(a, y))
        return {FEEDBACK: new if counts is None else torch.where(counts.sum() > 0, new, old)}

    def _renewed(self, old: Tensor, z: Tensor, outputs: Tensor) -> Tensor:
        rule = self.rule
        if rule.feedback == "sgd":
            gradient = (z @ old.t() - outputs).t() @ z / z.square().sum()
            return old - rule.feedback_lr * (gradient + rule.feedback_decay * old)
        gram = z.t() @ z
        eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        ridge = rule.ridge + _RELATIVE_RIDGE * (gram * eye).sum() / z.shape[1]
        fitted: Tensor = (outputs.t() @ z) @ torch.linalg.inv_ex(gram + ridge * eye)[0]
        if rule.feedback == "ema":
            return rule.feedback_momentum * old + (1.0 - rule.feedback_momentum) * fitted
        return fitted

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """beta_n = W z_n, shape (B, features)."""
        return self._seen(y) @ feedback[FEEDBACK].t()

    def _seen(self, y: Tensor) -> Tensor:
        """Z (B, D + 1); a row of zeros for a sample that does not count."""
        seen: Tensor = self.place.task.feedback_target(y)
        rows, counts = torch.cat([torch.ones_like(seen[:, :1]), seen], 1), self.place.labelled(y, self.weight)
        return rows if counts is None else rows * counts.unsqueeze(1)
