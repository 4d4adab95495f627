"""Input and output: atomic files, Parquet, TOML, progress bars, and text for terminals and documents."""
