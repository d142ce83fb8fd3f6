"""What to label next."""

from rcmvae.candidates.pool import Pool, pool_of
from rcmvae.candidates.reason import reasons
from rcmvae.candidates.strategy import Strategy, Suggestion, suggest

__all__ = ["Pool", "Strategy", "Suggestion", "pool_of", "reasons", "suggest"]
