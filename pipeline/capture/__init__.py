"""Recording a command on this machine: one module for each recorder, and `capture` to choose one."""
