"""Recordings as text: blocks of whole lines, and compiled scanners that turn them into neutral events."""
