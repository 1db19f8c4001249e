"""Text that people write ("2s", "p(95)") to the numbers that the code computes with."""

from __future__ import annotations

import math
import re
import sys

from pytest_cdcperf.errors import UnitError, shown

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(us|ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_PERCENTILE = re.compile(r"p\((\d+(?:\.\d+)?)\)")

_SMALLEST_SIZE, _LARGEST_SIZE = -4, 14  # powers of ten that are written without an exponent

LONGEST_S = 30 * 86400.0
_DURATION_TEXT = "a number with a unit, such as '500ms', '30s', '5m' or '1h30m'"

Duration = float | str  # as users write it: a number of seconds, or text with a unit


def duration_s(value: object, *, above_zero: bool = False) -> float:
    """Return the seconds of a duration as users write it: a number of seconds, or text with a unit.

    Text needs its unit: "30" would be seconds to one reader and milliseconds to another.

    >>> duration_s("1h30m"), duration_s("250ms"), duration_s(30)
    (5400.0, 0.25, 30.0)

    :param above_zero: refuse a duration of 0
    :raises UnitError: when *value* is not a duration, or one of more than 30 days
    """
    seconds = _seconds(value)
    if seconds > LONGEST_S:
        raise UnitError(f"{shown(value)} is too long; allowed: at most 30d")
    if seconds == 0 and above_zero:
        raise UnitError(f"{shown(value)}; allowed: a duration above zero")
    return float(seconds)


def _seconds(value: object) -> float:
    if isinstance(value, str):
        if _DURATION.fullmatch(value.strip()):
            return math.fsum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
        raise UnitError(f"{shown(value)} is not a valid duration; allowed: {_DURATION_TEXT}")
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return value
    raise UnitError(f"{shown(value)} is not a valid duration; allowed: seconds of at least 0, or {_DURATION_TEXT}")


def limit_ms(value: object) -> float:
    """Return the milliseconds of a latency limit: a bare number is milliseconds, as in k6.

    :raises UnitError: when *value* is neither a number of at least 0 nor a duration
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value <= sys.float_info.max:
            return float(value)
    elif isinstance(value, str):
        try:
            return duration_s(value) * 1000.0
        except UnitError:
            pass
    raise UnitError(f"{shown(value)} is not a valid limit; allowed: milliseconds of at least 0, or {_DURATION_TEXT}")


def percentile(text: str) -> float:
    """Return the quantile (0 to 1) that an aggregate such as "p(95)" or "p(99.9)" names.

    :raises UnitError: when *text* is not a percentile above 0 and up to 100
    """
    match = _PERCENTILE.fullmatch(text)
    if match is not None and 0 < float(match[1]) <= 100:
        return float(match[1]) / 100.0
    raise UnitError(f"{shown(text)} is not a valid percentile; allowed: p(N) with N above 0 and at most 100")


def figure(value: float, unit: str = "", digits: int = 4) -> str:
    """Return *value* for people, with at least *digits* digits, all those before the point, and its *unit*.

    Of the unit "%" the value is a share, 0 to 1.

    >>> figure(2412.4, "ms"), figure(0.98765, "%"), figure(12.5, "/s"), figure(1e300)
    ('2,412 ms', '98.77%', '12.5/s', '1e+300')
    """
    if not math.isfinite(value):
        return "-"
    if unit == "%":
        value *= 100
    gap = " " if unit[:1].isalnum() else ""
    size = math.floor(math.log10(abs(value))) if value else 0
    if not _SMALLEST_SIZE <= size <= _LARGEST_SIZE:
        return f"{value:.{digits}g}{gap}{unit}"
    text = f"{value:,.{max(0, digits - 1 - size)}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{gap}{unit}"


def figures_apart(value: float, other: float, unit: str = "") -> tuple[str, str]:
    """Return both as :func:`figure` does, with as many digits as distinguish them where they differ.

    >>> figures_apart(2000.04, 2000, "ms")
    ('2,000.04 ms', '2,000 ms')
    """
    shown = [(figure(value, unit, digits), figure(other, unit, digits)) for digits in range(4, 18)]
    return next((pair for pair in shown if pair[0] != pair[1]), shown[0])


def whole(count: float) -> int:
    """Return *count* as a whole number; 0 where it is not finite, as of a sum beyond all floats.

    >>> whole(3.0), whole(math.inf)
    (3, 0)
    """
    return round(count) if math.isfinite(count) else 0


def interval_in_words(low: float, high: float, unit: str = "") -> str:
    """Return both ends as :func:`figures_apart` does, with the *unit* once.

    >>> interval_in_words(204.2, 226, "ms"), interval_in_words(0.82, 0.91, "%")
    ('204.2 to 226 ms', '82 to 91%')
    """
    first, last = figures_apart(low, high, unit)
    return f"{first.removesuffix(unit).rstrip()} to {last}"


def clock_time(seconds: float) -> str:
    """Return a time since the start of a run as a clock shows it.

    >>> clock_time(43.2), clock_time(3725)
    ('0:43', '1:02:05')
    """
    if not math.isfinite(seconds):
        return "-"
    minutes, whole = divmod(math.floor(seconds), 60)
    return f"{minutes}:{whole:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{whole:02}"


def format_duration(seconds: float) -> str:
    """Return *seconds* as people write it: "850ms", "30s", "1h30m"."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{seconds:.4g}s"
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
