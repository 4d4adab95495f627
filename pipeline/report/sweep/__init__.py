"""The report of a sweep: what its factors do to each design."""
