"""Terms of the prior on c."""

from torch import Tensor

_TINY = 1e-8


def channel_kl(responsibilities: Tensor, log_pi: Tensor) -> Tensor:
    """KL(r || pi) over all K channels in nats, batch mean.

    Args:
        responsibilities: (B, K).
        log_pi: (K,).
    """
    log_ratio = (responsibilities + _TINY).log() - log_pi
    return (responsibilities * log_ratio).sum(dim=1).mean()


def dirichlet_penalty(log_pi: Tensor) -> Tensor:
    """-sum_k log pi_k for log pi (K,): -log Dir(pi; 1 + w) is w times it, up to a constant."""
    return -log_pi.sum()
