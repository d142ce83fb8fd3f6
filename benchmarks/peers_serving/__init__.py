"""Services that `benchmarks.serving` compares with, each in a virtual environment of its own."""
