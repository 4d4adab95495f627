"""What happened to one operation of a run, and where its time went."""
