"""The simulated multiprocessor: cost profiles, and the engine that runs a design on it."""
