"""The figures behind every claim, each one command."""
