"""All uses of Numba: marks of compiled functions, the tables that they read, and compiled loops."""
