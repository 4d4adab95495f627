"""Traces: their streaming reader and writer, their checks, and what transforms them."""
