"""Making a trace of another one: one file per step, and `applying`, which applies several in order."""
