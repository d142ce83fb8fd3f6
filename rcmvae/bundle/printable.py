"""Untrusted text in a form that fits into an error message and a log line."""

LONGEST = 120


def printable(text: str) -> str:
    """Escape everything but printable ASCII and cut the text to ``LONGEST`` characters."""
    plain = text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 3] + "..."
