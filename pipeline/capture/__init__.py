"""Recording a command on this machine: a file for each recorder, and `capture`, which chooses one."""
