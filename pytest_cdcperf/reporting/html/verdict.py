"""The top of a section: the verdict with its reasons, and the figures that one looks for first."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.metric import with_unit
from pytest_cdcperf.printable import short_name
from pytest_cdcperf.reporting.html.markup import Child, Html, element
from pytest_cdcperf.reporting.view import LimitView, RunView
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import figure

_MOST_REASONS = 8


def badge(view: RunView) -> Html:
    """Return the verdict as a word, with a sign for those who do not see its colour."""
    return element("strong", f"{view.mark} {view.verdict}", class_=f"verdict {view.verdict.lower()}")


def banner(view: RunView) -> Html:
    """Return the verdict and why."""
    reasons = list(view.reasons[1:])
    left_out = len(reasons) - _MOST_REASONS
    lines = [element("li", reason) for reason in reasons[:_MOST_REASONS]]
    lines += [element("li", f"and {left_out} more")] if left_out > 0 else []
    lines += [element("li", f"WARNING, {warning}") for warning in view.warnings]
    if view.failed and not any("iterations failed" in reason for reason in view.reasons):
        lines.append(element("li", f"failed: {view.failed}"))
    return element(
        "div",
        element("p", badge(view), " ", view.reasons[0] if view.reasons else view.kept),
        element("ul", *lines) if lines else None,
        class_=f"banner {view.verdict.lower()}",
    )


def tiles(result: RunResult, view: RunView) -> Html:
    """Return the figures that one looks for first."""
    return element("div", *_tiles(result, view), class_="tiles")


def _tiles(result: RunResult, view: RunView) -> Iterator[Html]:
    rate = f"{figure(result.achieved_rate, digits=3)}/s"
    asked = result.facts.asked_rate
    yield _tile(
        "iterations", f"{result.iterations:,}", rate + (f", asked {figure(asked, digits=3)}/s" if asked else "")
    )
    yield from _latency(result, view)
    failed = result.total.rate(builtin.ITERATION_FAILED.name)
    if failed.total:
        below = f"{failed.hits:,} iterations, tolerated {view.tolerated}"
        yield _tile("failed", view.errors, below, wrong=failed.rate > result.facts.error_rate)
    if result.peak_vus:
        yield _tile(
            "peak VUs", f"{result.peak_vus:,}", f"{len(result.workers)} workers" if len(result.workers) > 1 else ""
        )
    if view.generator:
        fitness, _, why = view.generator.partition(": ")
        yield _tile("generator", fitness, why, wrong=not result.generator_fit)
    if view.rows:
        count, arrived, how = view.rows.partition(" arrived")
        yield _tile("rows", count, f"{arrived}{how}".strip())


def _latency(result: RunResult, view: RunView) -> Iterator[Html]:
    """Yield the figure of the limit that decides, or the 95th percentile of the headline without any."""
    on = [(judged, limit) for judged, limit in zip(result.thresholds, view.limits, strict=True) if _is_latency(judged)]
    chosen = next((one for one in on if one[1].is_crossed), next(iter(on), None))
    if chosen is not None:
        _, limit = chosen
        yield _tile(limit.subject, limit.value, f"limit {limit.bound}", wrong=limit.is_crossed)
        return
    trend = result.total.trend(result.headline)
    if trend.count:
        p50, p99 = (with_unit(trend.quantile(q), result.headline) for q in (0.5, 0.99))
        name = f"{short_name(result.headline)} p(95)"
        yield _tile(name, with_unit(trend.quantile(0.95), result.headline), f"p50 {p50}, p99 {p99}")


def _is_latency(judged: ThresholdResult) -> bool:
    threshold = judged.threshold
    return isinstance(threshold, Threshold) and threshold.quantile is not None and judged.observed is not None


def _tile(name: str, value: Child, below: str = "", *, wrong: bool = False) -> Html:
    shown = element("strong", value, class_="wrong" if wrong else None)
    return element("div", element("span", name), shown, element("em", below), class_="tile")


def limit_mark(limit: LimitView) -> Html:
    """Return the sign of what became of a limit, with its word."""
    style = {
        Outcome.PASSED: "good",
        Outcome.FAILED: "wrong",
        Outcome.NO_SAMPLES: "wrong",
        Outcome.NOT_JUDGED: "dim",
    }.get(limit.outcome, "unsure")
    word = str(limit.outcome)
    return element("span", limit.mark, class_=style, title=word, role="img", aria_label=word)
