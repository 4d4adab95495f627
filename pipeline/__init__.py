"""Replay page-fault and copy-user traces through kmap allocators on a simulated multiprocessor."""
