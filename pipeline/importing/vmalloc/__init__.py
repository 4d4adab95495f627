"""Recordings of the kernel's areas of vmalloc: its tracepoints as text of tracefs, perf or trace-cmd.

`recording` reads the events in their order, for the trace (`rows`) and for the comparison of a design with
the kernel (`pipeline.studies.conformance`).
"""
