"""BLL where a block's output are firing rates: its latent variables are spikes, not Gaussians.

In the paper's framework a block outputs the parameters of a distribution alpha of latent variables, the feedback head those of
beta, and the block's loss is KL(rho || alpha) with the posterior rho made of both (eqs. 2 and 5). It is worked out for
Gaussians of known variance, whose posterior has the mean (alpha + beta) / 2, and "can easily be generalized" (section 2.2).
For spikes so: write a family as p(z) = h(z) exp(eta z - A(eta)). The mean of two Gaussians of one variance is, in the family's
natural parameters, that of eta, and here it is that, too:

    rho ~ sqrt(alpha beta),     eta_rho = (eta_a + eta_b) / 2
    KL(rho || alpha) = (eta_rho - eta_a) A'(eta_rho) - A(eta_rho) + A(eta_a)

               eta            rho                                    KL(rho || alpha)
    gaussian   a / s^2        (a + b) / 2                            (a - b)^2 / (8 s^2)
    bernoulli  log a/(1 - a)  p / (p + q),  p = sqrt(a b),           rho log(rho / a) + (1 - rho) log((1 - rho) / (1 - a))
                              q = sqrt((1 - a) (1 - b))
    poisson    log a          sqrt(a b)                              rho log(rho / a) - rho + a

z is whether a neuron spikes in a time step ("bernoulli"), or how often, of few spikes ("poisson", the limit of low rates). For
a near b both are (a - b)^2 / (8 v) with v the family's own variance, a (1 - a) or a: so a rate of 0.02 that should be 0.04
counts, and nothing is left to be chosen for sigma. The product alpha beta itself (eta_a + eta_b) serves Gaussians, where it
differs from rho by its variance alone; of spikes it has no rest at a = b: it would pull each rate below 1/2 to 0, whatever the
class.

The feedback has a closed form as before: the beta_c that is nearest to the alphas of class c, the minimum of
sum_n KL(alpha_n || beta_c), has their mean rate, so W_c follows m_c.

A rate is counted from N time steps and positions. It is taken as (N a + 1/2) / (N + 1), or of poisson (N a + 1/2) / N, the mean
of what Jeffreys' prior makes of the count: never 0 or 1, so that logarithms are finite. rho is held fixed in the backward pass,
as the expectation step holds it: the gradient with respect to eta_a is then a - rho, always towards the target; through rho it
can turn away from a target that is far.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from edgebll.learning.objective import Tensors, mean_over
from edgebll.learning.rules.bll import schedule
from edgebll.learning.rules.bll.objective import FEEDBACK, BLLObjective

GAUSSIAN, BERNOULLI, POISSON = "gaussian", "bernoulli", "poisson"


class RateObjective(BLLObjective):
    """The BLL loss with spikes for latent variables."""

    def renew_targets(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """As for Gaussians, but a column that no class has filled yet becomes the mean: a rate of 0 would silence neurons."""
        new = super().renew_targets(feedback, a, y)
        if self.rule.feedback != "ema" or self.rule.feedback_momentum == 1.0:
            return new
        filled = (feedback[FEEDBACK].sum(0) > 0).to(a.dtype)
        whole = 1.0 / (1.0 - self.rule.feedback_momentum)
        return {FEEDBACK: new[FEEDBACK] * (filled + (1.0 - filled) * whole)}

    def _match(self, feedback: Tensors, a: Tensor, y: Tensor, counts: Tensor | None) -> Tensor:
        rule, count = self.rule, self._observations()
        found = smoothed_rate(self.matched(a, y), count, rule.latent)
        asked = smoothed_rate(self.beta(feedback, y).detach(), count, rule.latent)
        posterior, divergence = FAMILIES[rule.latent]
        apart = divergence(found, posterior(found, asked).detach())
        weight = rule.match * schedule.by_depth(self.place, rule.match_growth)
        term = weight * mean_over(apart.sum(1), counts)
        return term * schedule.strength(rule, feedback, self.lr) if rule.match_schedule != schedule.CONSTANT else term

    def _observations(self) -> int:
        """N, from how many time steps and positions a rate is counted."""
        space = self.place.output_shape[1:] if self.rule.pool == "avg" else ()
        return self.place.rate_over * math.prod(space)


def smoothed_rate(rate: Tensor, count: int, latent: str) -> Tensor:
    """A rate that was counted, away from 0 and 1.

    Args:
        rate: of any shape.
        count: N.
        latent: "bernoulli" or "poisson".
    """
    if latent == POISSON:
        return rate.clamp(min=0.0) + 0.5 / count
    return (rate.clamp(0.0, 1.0) * count + 0.5) / (count + 1)


def bernoulli_posterior(a: Tensor, b: Tensor) -> Tensor:
    """The rate whose log odds are the mean of those of a and b, all of one shape."""
    spikes, silence = (a * b).sqrt(), ((1.0 - a) * (1.0 - b)).sqrt()
    return spikes / (spikes + silence)


def poisson_posterior(a: Tensor, b: Tensor) -> Tensor:
    """The rate whose logarithm is the mean of those of a and b, all of one shape."""
    return (a * b).sqrt()


def bernoulli_divergence(a: Tensor, rho: Tensor) -> Tensor:
    """KL(rho || a) of each pair of rates, of their shape."""
    return rho * (rho / a).log() + (1.0 - rho) * ((1.0 - rho) / (1.0 - a)).log()


def poisson_divergence(a: Tensor, rho: Tensor) -> Tensor:
    """KL(rho || a) of each pair of rates, of their shape."""
    return rho * (rho / a).log() - rho + a


#: Latent -> how the posterior's rate comes of alpha's and beta's, and its divergence from alpha's.
FAMILIES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    BERNOULLI: (bernoulli_posterior, bernoulli_divergence),
    POISSON: (poisson_posterior, poisson_divergence),
}
