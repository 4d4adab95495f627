"""A against B: the runs of both in pairs, a verdict for each metric, and what moved.

`pairing` puts runs of two sides together, `metrics` says what is measured of each, `judge` what the
differences tell, `causes` what they are made of, and `compare` all of it; `making` makes the runs of two
designs, and `traces` compares traces instead.
"""
