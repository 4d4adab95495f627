"""Recordings of the kernel's own kmap pool: reading them, their operations and the schedule of its lock."""
