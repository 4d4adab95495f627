"""The report that compares runs: charts, tables, and the forms in which they are written."""
