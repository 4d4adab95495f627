"""Recordings of the kernel's own kmap pool: its events, and what is made of them."""
