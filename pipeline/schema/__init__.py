"""The columns of traces and runs, and every code that stands for one of their values."""
