"""Quantiles of Student's t distribution, without a numeric library: scipy costs 35 MB and two seconds to import."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t with *degrees* of freedom, for a *probability* above one half.

    Hill, Algorithm 396: Student's t-quantiles, CACM 13 (1970) 619. Six digits are right from three degrees on.

    >>> round(t_quantile(0.975, 9), 4)
    2.2622

    :param probability: 0.975 for the end of a two-sided interval of 95 %
    :param degrees: at least 1; between 1 and 2 it counts as 1, so that the quantile is too wide, never too narrow
    """
    both_tails = 2.0 * (1.0 - probability)
    if degrees < 2:
        return 1.0 / math.tan(both_tails * math.pi / 2.0)
    if degrees == 2:
        return math.sqrt(2.0 / (both_tails * (2.0 - both_tails)) - 2.0)
    a = 1.0 / (degrees - 0.5)
    b = 48.0 / a**2
    c = ((20700.0 * a / b - 98.0) * a - 16.0) * a + 96.36
    d = ((94.5 / (b + c) - 3.0) / b + 1.0) * math.sqrt(a * math.pi / 2.0) * degrees
    y = (d * both_tails) ** (2.0 / degrees)
    if y > 0.05 + a:
        x = _NORMAL.inv_cdf(both_tails / 2.0)
        y = x * x
        if degrees < 5:
            c += 0.3 * (degrees - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b
        y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x
        y = math.expm1(a * y * y)
    else:
        y = (
            (
                1.0 / (((degrees + 6.0) / (degrees * y) - 0.089 * d - 0.822) * (degrees + 2.0) * 3.0)
                + 0.5 / (degrees + 4.0)
            )
            * y
            - 1.0
        ) * (degrees + 1.0) / (degrees + 2.0) + 1.0 / y
    return math.sqrt(degrees * y)
