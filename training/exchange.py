"""What stronger views move from channel to channel."""

import numpy as np
import torch
from numpy.typing import NDArray

from training.augment import views
from training.config import RunConfig
from training.model.network import RcmVae

STRENGTH = 2.0
"""Of the views, in units of the extents of the fit: past what the agreement has made equal."""

DRAWS = 3
MOST_INPUTS = 10_000
_BATCH = 1_000


def channel_exchange(
    network: RcmVae, x: NDArray[np.float32], config: RunConfig
) -> NDArray[np.float64]:
    """J = mean of r(x)^T r(x') over inputs x and stronger views x' of them, (K, K).

    Trials on MNIST: with views of the fit's own strength, or by the features' nearest neighbours,
    the channels of rare styles went to a wrong label about half of the time; at twice the strength
    seldom (docs/decisions/0005-mnist-trials.md). Vectors have no views, and exchange what r shares.

    Args:
        network: fitted.
        x: unlabelled inputs of the fit; of more than MOST_INPUTS the first are used.
        config: of the run.
    """
    generator = torch.random.get_rng_state()
    torch.manual_seed(config.seed)
    exchange = torch.zeros(network.num_channels, network.num_channels, dtype=torch.float64)
    with torch.no_grad():
        for batch in torch.split(torch.from_numpy(x[:MOST_INPUTS]), _BATCH):
            own = network.eval().encode(batch).logits.double().softmax(dim=1)
            for _ in range(DRAWS):
                seen = views(batch, config.augment, STRENGTH)
                exchange += own.T @ network.encode(seen).logits.double().softmax(dim=1)
    torch.random.set_rng_state(generator)
    normalised: NDArray[np.float64] = (exchange / exchange.sum()).numpy()
    return normalised
