"""What an allocator's file may use: options, sizes, actions and what a step records."""
