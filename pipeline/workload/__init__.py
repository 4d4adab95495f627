"""Synthetic traces: spec models, distributions and the streaming generator."""
