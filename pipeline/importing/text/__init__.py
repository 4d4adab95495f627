"""Recordings as text: blocks of lines, and tables of patterns that convert lines into neutral events."""
