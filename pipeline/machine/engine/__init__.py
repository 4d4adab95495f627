"""The event engine: plain Python source that is also compiled, one specialised copy per allocator.

Modules here hold functions marked `@inline` and nothing that needs more than integers and arrays of
records. `pipeline.machine.compose` puts them together with one allocator and compiles the whole, or runs the
same source as it stands.
"""
