"""Terms of the objective that are off by default, one noun a file; docs/math.md derives them."""
