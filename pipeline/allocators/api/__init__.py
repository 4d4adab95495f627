"""The interface for an allocator's file: options, sizes, actions and the records of a step."""
