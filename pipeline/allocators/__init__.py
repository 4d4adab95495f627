"""Mapping designs, one file each; a file in this folder is registered automatically."""
