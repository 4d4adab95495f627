"""Recording a command on this machine: a file for each recorder, and `recording`, which chooses one."""
