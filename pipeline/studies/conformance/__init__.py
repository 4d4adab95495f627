"""Compare a design with a recording of a real kernel."""
