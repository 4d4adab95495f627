"""Lockmeter's rows of 2002 beside the calibrated model."""
