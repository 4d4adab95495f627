"""Lock measurements of real machines: a module for each tool, and `read`, which selects one."""
