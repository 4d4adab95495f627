"""Several allocators in one simulator (`pipeline.allocators.api.composite`) that the engine takes for one.

The engine still calls one allocator: a router, written by `router`, that calls the allocator of the request's
kind. Slots, wait queues and locks of the allocators are numbered one after another, and `view` adds and takes
away where an allocator's own begin. `state` lays out their state: one set of tables, in which the slots table
of allocator 1 is `slots@1`; `pipeline.jit.marks.view` shows an allocator its own.
"""
