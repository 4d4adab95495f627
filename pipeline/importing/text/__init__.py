"""Recordings as text: blocks of lines, and tables of patterns that make neutral events of them."""
