"""Rules about a run over time: recovery after a spike, drift over a soak, the load at which it broke.

Formulas and figures: ``python -m benchmarks verdicts`` simulates each rule on runs whose truth is known.
"""
