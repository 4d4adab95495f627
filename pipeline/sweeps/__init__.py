"""Sweeps: many runs, each made once and stored under a hash of its inputs, by any number of processes.

A *grid* of factors defines the runs, each with a *key*. A sweep is a directory, which holds all its state.
Processes on any machine coordinate only through this directory.
"""
