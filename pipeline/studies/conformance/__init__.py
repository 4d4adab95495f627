"""Holding a design against a recording of a real kernel."""
