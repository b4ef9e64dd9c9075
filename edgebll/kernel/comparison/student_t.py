"""Student's t distribution for whole degrees of freedom, in closed form: few seeds need it, and boards have no SciPy.

    P(|T| <= t) = (2 / pi) (theta + sin theta (cos theta + 2/3 cos^3 theta + 2/3 4/5 cos^5 theta + ...))     df odd
    P(|T| <= t) = sin theta (1 + 1/2 cos^2 theta + 1/2 3/4 cos^4 theta + ...)                                df even

with theta = atan(t / sqrt(df)) and powers up to df - 2 (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
"""

from __future__ import annotations

import math


def central_probability(t: float, df: int) -> float:
    """P(|T| <= t) of Student's t with `df` degrees of freedom.

    Args:
        t: at least 0.
        df: at least 1.
    """
    theta = math.atan(t / math.sqrt(df))
    cosine, odd = math.cos(theta), df % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for power in range(1 if odd else 0, df - 1, 2):
        total += term
        term *= cosine * cosine * (power + 1) / (power + 2)
    if odd:
        return 2.0 / math.pi * (theta + math.sin(theta) * total)
    return math.sin(theta) * total


def t_quantile(confidence: float, df: int) -> float:
    """The t with P(|T| <= t) = confidence, by halving an interval; about 12 digits.

    Args:
        confidence: in (0, 1).
        df: degrees of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while central_probability(high, df) < confidence:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if central_probability(middle, df) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
