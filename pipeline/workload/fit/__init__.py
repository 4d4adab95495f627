"""Finding the workload spec whose trace is most like a given one, and saying how like it is."""
