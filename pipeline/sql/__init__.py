"""DuckDB over any number of runs: views, the query library, named queries."""
