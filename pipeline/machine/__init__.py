"""The simulated multiprocessor: profiles of costs, and the engine that runs a design on it."""
