"""The HTML report: charts, tables and the page."""
