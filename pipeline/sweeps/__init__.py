"""Sweeps: many runs, each made once and kept by what determines it, by any number of processes anywhere.

A *grid* says which factors vary; from it follow the runs, each with a *key*. A sweep is a directory: it is
all the state there is, and whoever makes runs, here or elsewhere, meets the others in it.
"""
