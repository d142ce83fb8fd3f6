"""The media types that requests and answers can have."""

JSON = "application/json"
OCTETS = "application/octet-stream"
NPY = "application/x-npy"
PNG = "image/png"
ARROW = "application/vnd.apache.arrow.stream"

READ = (JSON, OCTETS, NPY, PNG, ARROW)
"""What POST /predict reads."""
WRITTEN = (JSON, ARROW)
"""What it can answer in, the favourite first."""
