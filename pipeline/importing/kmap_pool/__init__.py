"""Recordings of the kernel's kmap pool: readers, operations, and the schedule of the pool's lock."""
