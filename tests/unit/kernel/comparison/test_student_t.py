"""Student's t in closed form against SciPy's."""

from __future__ import annotations

import pytest
from scipy import stats

from edgebll.kernel.comparison.student_t import central_probability, t_quantile


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 10, 31, 100])
def test_probabilities_and_quantiles(df: int) -> None:
    for t in (0.0, 0.3, 1.0, 2.5, 12.7):
        assert central_probability(t, df) == pytest.approx(2 * stats.t.cdf(t, df) - 1, abs=1e-12)
    for confidence in (0.5, 0.95, 0.99, 0.9995):
        assert t_quantile(confidence, df) == pytest.approx(stats.t.ppf((1 + confidence) / 2, df), rel=1e-9)
