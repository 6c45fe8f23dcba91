"""Statistics that do not flatter small samples."""

from __future__ import annotations

import math
from typing import Final

Z_95: Final = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def wilson_lower_percent(wins: int, n: int) -> float | None:
    """Lower end of the two-sided 95 % Wilson score interval of a win rate, 0-100; `None` without any call.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927), 209-212; without continuity correction. 8 wins of 10 are at least 49 %,
    80 of 100 at least 71 %. Raises `ValueError` unless 0 <= wins <= n.
    """
    if not 0 <= wins <= n:
        raise ValueError("there are at most as many wins as calls, and no fewer than none")
    if not n:
        return None
    if not wins:
        return 0.0  # exactly, where the formula leaves a rounding error
    share, square = wins / n, Z_95 * Z_95
    centre = share + square / (2 * n)
    margin = Z_95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return 100 * (centre - margin) / (1 + square / n)
