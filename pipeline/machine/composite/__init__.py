"""Several designs in one simulator (`pipeline.allocators.api.composite`), without a word of it in the engine.

The engine still calls one design: a dispatcher, made by `dispatching`, that asks the design of the request's
kind. Slots, wait queues and locks of the designs are numbered one after another, and `steps` adds and takes
away where a design's own begin. `building` lays out their state: one set of tables, in which the slots table
of design 1 is `slots@1`; `part` (in `plain_parts` and `compiled_parts`) shows a design its own.
"""
