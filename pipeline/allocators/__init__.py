"""Mapping designs, one file each; being in this folder registers a design."""
