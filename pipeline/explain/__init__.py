"""What happened to one operation of a run, and why it took as long as it did."""
