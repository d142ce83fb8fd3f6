"""Wire formats of inputs and answers, one a file."""
