"""Lockmeter's rows of 2002 compared with the calibrated model."""
