"""Runs: replaying a trace, the log, the manifest and the cache of finished runs."""
