"""Every contact with Numba: the marks of compiled functions, tables that they read, compiled loops."""
