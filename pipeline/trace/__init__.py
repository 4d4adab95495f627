"""Traces: their schema, streaming reader and writer, checks, and importers of foreign formats."""
