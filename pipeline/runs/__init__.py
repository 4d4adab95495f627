"""Runs: replaying a trace, the event log, the manifest and the cache of finished runs."""
