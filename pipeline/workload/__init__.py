"""Synthetic traces: models of workload specs, distributions and the streaming generator."""
