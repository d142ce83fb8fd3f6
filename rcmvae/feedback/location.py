"""Where the store is, for every program by one variable."""

import os


def store_url() -> str:
    """URL of the feedback store, as the service reads it."""
    return os.environ.get("RCMVAE_STORE_URL", "sqlite:///var/feedback.db")
