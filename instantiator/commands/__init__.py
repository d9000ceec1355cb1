"""The commands of the command line: parse, call, show."""
