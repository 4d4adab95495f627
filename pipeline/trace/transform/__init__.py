"""Transformations of traces: one file per step, and `apply`, which applies several in order."""
