"""Runs of which theory says what must come out, held against it.

Every run goes through the engine that `replay` runs, compiled, with rows and prices given in memory.
"""
