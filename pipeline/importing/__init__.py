"""Recordings in foreign formats, and how they become traces."""
