"""Sensitivity of design comparisons to a machine's costs: draws, screening, Sobol' indices, break-evens."""
