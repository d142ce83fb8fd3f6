"""What a person or CI runs from the root of the repository."""
