"""Is the verdict on an unfit load generator right? Situations whose true service time is known.

``python -m benchmarks fitness`` runs all of them, some seconds each; with ``--only=TEXT`` those whose name has it.
``--baseline`` runs short sessions of the scenario "baseline" on the embedded stack instead, beside nothing, one and
four busy processes; ``--runs=N`` says how many of each. ``--cost`` prints what the beats cost. The machine must do
nothing else meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.fitness import baseline as sessions
from benchmarks.fitness import cost as beats
from benchmarks.fitness.judged import Case, acceptance, cases, replayed
from benchmarks.fitness.situations import SITUATIONS, Situation
from benchmarks.fitness.worker import Sent, run
from pytest_cdcperf.cluster.messages import WindowDone
from pytest_cdcperf.judging.delay_cause import cause
from pytest_cdcperf.judging.own_delay import own_delay_ms


def main(*, only: str = "", cost: bool = False, baseline: bool = False, runs: int = 20) -> None:
    """Print truth, measured, own delay, lost, verdict and cause of each situation, and whether the rule holds."""
    if cost:
        beats.main()
        return
    if baseline:
        sessions.main(str(runs))
        return
    found: list[Case] = []
    for situation in SITUATIONS:
        if only in situation.name:
            sent = run(situation)
            these = cases(situation, sent)
            found += these
            _show(situation, sent, these)
    print()
    for count in acceptance(found):
        print(count)


def _show(situation: Situation, sent: Sequence[Sent], found: Sequence[Case]) -> None:
    result = replayed(sent, {}, situation)
    lost = max(part.lost for part in result.workers)
    windows = [message for messages in sent for message in messages if isinstance(message, WindowDone)]
    evidence = [window.delays for window in windows if window.delays is not None]
    print(f"{situation.name}: lost {lost:.1%}, {sum(part.cpu for part in result.workers):.2f} CPUs")
    for figure in dict.fromkeys(case.figure for case in found):
        of = [case for case in found if case.figure == figure]
        aggregate = figure.split()[1]
        own = f", own delay {own_delay_ms(result.total, aggregate):.1f} ms" if figure.startswith("response") else ""
        said = [
            f"{verdict} at {', '.join(f'{case.limit / case.truth:.3g}' for case in of if case.verdict == verdict)}"
            for verdict in ("PASSED", "INVALID", "FAILED")
            if any(case.verdict == verdict for case in of)
        ]
        print(f"    {figure}: true {of[0].truth:.1f}, measured {of[0].measured:.1f}{own}; {'; '.join(said)} x true")
    for line in result.reasons[:1]:
        print(f"    {line}")
    if evidence and not result.reasons and lost > 0.005:
        print(f"    {cause(max(evidence, key=lambda seen: seen.late_s))}")
