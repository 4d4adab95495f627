"""Comparing A and B: pairs of runs, a verdict for each metric, and what changed.

`pairing` pairs the runs of two sides, `judge` gives the verdicts, `causes` breaks differences down, and
`compare` combines these. `making` makes the runs of two designs. `traces` compares traces.
"""
