"""The SQL shell at a terminal."""
