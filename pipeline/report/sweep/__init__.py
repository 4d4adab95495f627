"""The report of a sweep: the effect of its factors on each design."""
