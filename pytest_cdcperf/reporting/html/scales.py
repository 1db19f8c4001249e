"""Round ticks of axes: steps of 1, 2 and 5, of time, and of powers."""

from __future__ import annotations

import math

_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_ROUNDING = 1e-9


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round values from below *low* to above *high*, about *most* of them: the ends of the axis are the outer.

    >>> ticks(0, 412), ticks(-0.3, 1, 4)
    ([0.0, 100.0, 200.0, 300.0, 400.0, 500.0], [-0.5, 0.0, 0.5, 1.0])
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low, low + 1.0]
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - _ROUNDING))
    first, last = math.floor(low / step + _ROUNDING), math.ceil(high / step - _ROUNDING)
    return [round(number * step, 12 - math.floor(math.log10(step))) for number in range(first, last + 1)]


def time_ticks(end_s: float, most: int = 10) -> list[float]:
    """Return round times from 0 to *end_s*, at most about *most* of them.

    >>> time_ticks(90.4)
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
    """
    if not (math.isfinite(end_s) and end_s > 0):
        return [0.0]
    step = next((step for step in _TIME_STEPS_S if end_s / step <= most), 86400 * math.ceil(end_s / 86400 / most))
    return [float(number * step) for number in range(math.floor(end_s / step) + 1)]


def log_ticks(low: float, high: float, most: int = 10) -> list[float]:
    """Return values such as 1, 2, 5, 10 between *low* and *high*, both above 0: powers of ten alone where many.

    >>> log_ticks(3, 700), log_ticks(1e-3, 1e5, 5)
    ([5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0], [0.001, 0.1, 10.0, 1000.0, 100000.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [_power(factor, power) for power in powers for factor in factors]
        found = [value for value in found if low * (1 - _ROUNDING) <= value <= high * (1 + _ROUNDING)]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def _power(factor: int, power: int) -> float:
    return float(f"{factor}e{power}")
