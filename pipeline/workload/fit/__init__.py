"""Fit a workload spec to a trace, and compare the trace with one generated from the spec."""
