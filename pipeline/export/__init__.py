"""A run for other tools: a timeline for Perfetto or Chrome's viewers, or its log as one long table."""
