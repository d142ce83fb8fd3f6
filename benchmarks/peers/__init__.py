"""Other methods on the same split, labels and test inputs: what a figure of ours stands beside."""
