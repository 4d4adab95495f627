"""The event engine: plain Python source that is also compiled, one specialised copy per allocator.

Modules here contain functions marked `@inline` that need only integers and arrays of records.
`pipeline.machine.compose` combines them with one allocator and compiles the result, or runs the same source
uncompiled.
"""
