"""The command line: one small file per command, which parses, calls one function and prints."""
