"""One file per foreign format; each turns a recording into trace rows with their provenance."""
