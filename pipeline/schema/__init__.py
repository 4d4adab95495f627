"""Columns of traces and runs, and the codes of their values."""
