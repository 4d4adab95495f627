"""Shared parts of designs; a design imports the parts that it uses."""
