"""What tools measured of locks on a real machine: a module for each tool, and `read`, which chooses one."""
