"""Files that appear whole, TOML with values changed, progress, and text for terminals and documents."""
