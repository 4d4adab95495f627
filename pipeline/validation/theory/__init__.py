"""Runs of which theory says what must come out, held against it."""
