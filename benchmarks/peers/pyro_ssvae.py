"""The semi-supervised VAE of Pyro's tutorial: M2 with the label summed out.

Model (Kingma et al. 2014, M2): y ~ Cat(uniform), z ~ N(0, I), x ~ Bernoulli(decoder(z, y)).
Guide: q(y|x) q(z|x, y). For unlabelled inputs y is enumerated, for labelled ones observed; a
classification loss on q(y|x) comes on top, as else the labels would not reach it. Settings are
those of the tutorial, https://pyro.ai/examples/ss-vae.html.

Importing this module imports Pyro.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyro
import torch
from numpy.typing import NDArray
from pyro import distributions as dist
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO, config_enumerate
from pyro.optim import PyroOptim
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from benchmarks.peers.peer import known_test, share_right
from training.config import RunConfig
from training.data import Dataset
from training.threads import thread_count

Answer = Callable[[NDArray[np.float32]], NDArray[np.int64]]
"""From inputs (n, *shape) to labels (n,)."""


@dataclass(frozen=True, slots=True)
class PyroSsvae:
    """M2 in Pyro.

    Attributes:
        epochs: passes over the unlabelled inputs.
        hidden: width of the one hidden layer of each of the three networks.
        latent_dim: of z.
        learning_rate: of Adam.
        betas: of Adam.
        auxiliary: multiplier of the classification loss.
        batch: inputs a step; labelled steps take all labels where there are fewer.
        labelled_every: one labelled step comes after so many unlabelled ones.
        initial_scale: standard deviation of all weights before the first step.
    """

    epochs: int = 20
    hidden: int = 500
    latent_dim: int = 50
    learning_rate: float = 0.00042
    betas: tuple[float, float] = (0.9, 0.999)
    auxiliary: float = 46.0
    batch: int = 200
    labelled_every: int = 1
    initial_scale: float = 0.001

    def accuracy(self, dataset: Dataset, run: RunConfig) -> float:
        """See ``Peer``."""
        total = self.epochs * _steps_of_epoch(dataset, self.batch)
        steps = self.train(dataset, run)
        shown = tqdm(steps, total=total, desc="pyro", unit="step", leave=False)
        (answer,) = deque(shown, maxlen=1)
        test = known_test(dataset)
        return share_right(answer(test.x), test)

    def train(self, dataset: Dataset, run: RunConfig) -> Iterator[Answer]:
        """Train; after every unlabelled step, and the labelled one that may follow, yield answers.

        What is yielded always answers with the present weights.
        """
        torch.set_num_threads(thread_count(run.fit.threads))
        pyro.clear_param_store()
        pyro.set_rng_seed(run.seed)
        vae = Ssvae(int(np.prod(dataset.shape)), len(dataset.labels), self)
        losses = _losses(vae, self)
        unlabelled = torch.from_numpy(dataset.unlabelled).flatten(1)
        labelled = torch.from_numpy(dataset.labelled.x).flatten(1)
        onehot = F.one_hot(torch.from_numpy(dataset.labelled.y), len(dataset.labels)).float()
        for number, x in enumerate(_batches(unlabelled, self), start=1):
            losses.unlabelled.step(x)
            if number % self.labelled_every == 0:
                pick = torch.randperm(len(labelled))[: self.batch]
                losses.labelled.step(labelled[pick], onehot[pick])
                losses.classification.step(labelled[pick], onehot[pick])
            yield vae.answer
        pyro.clear_param_store()


class Ssvae(nn.Module):
    """The three networks, and the model and guide that they make."""

    def __init__(self, size: int, num_labels: int, settings: PyroSsvae) -> None:
        super().__init__()
        self.num_labels, self.latent_dim = num_labels, settings.latent_dim
        self.auxiliary = settings.auxiliary
        self.label_net = Perceptron((size,), settings.hidden, num_labels)
        self.style_net = Perceptron((size, num_labels), settings.hidden, 2 * self.latent_dim)
        self.decoder = Perceptron((self.latent_dim, num_labels), settings.hidden, size)
        if settings.initial_scale:
            for weight in self.parameters():
                nn.init.normal_(weight, 0.0, settings.initial_scale)

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """p(y) p(z) p(x|y, z) of x (B, size); y (B, C) one-hot where it is known."""
        pyro.module("ssvae", self)
        with pyro.plate("inputs", len(x)):
            uniform = x.new_zeros(len(x), self.num_labels)
            y = pyro.sample("y", dist.OneHotCategorical(logits=uniform), obs=y)
            origin = x.new_zeros(len(x), self.latent_dim)
            z = pyro.sample("z", dist.Normal(origin, 1.0).to_event(1))
            # Grey values stand in for probabilities, which the strict check would refuse.
            pixels = dist.Bernoulli(logits=self.decoder(z, y), validate_args=False)
            pyro.sample("x", pixels.to_event(1), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """q(y|x) q(z|x, y)."""
        with pyro.plate("inputs", len(x)):
            if y is None:
                y = pyro.sample("y", dist.OneHotCategorical(logits=self.label_net(x)))
            mean, log_scale = self.style_net(x, y).chunk(2, dim=-1)
            pyro.sample("z", dist.Normal(mean, log_scale.exp()).to_event(1))

    def label_model(self, x: Tensor, y: Tensor) -> None:
        """The classification loss: q(y|x) of labelled inputs, weighed."""
        pyro.module("ssvae", self)
        with pyro.plate("inputs", len(x)), pyro.poutine.scale(scale=self.auxiliary):
            pyro.sample("label", dist.OneHotCategorical(logits=self.label_net(x)), obs=y)

    def label_guide(self, x: Tensor, y: Tensor) -> None:
        """Nothing is hidden there."""

    def answer(self, x: NDArray[np.float32]) -> NDArray[np.int64]:
        """argmax_y q(y|x) of inputs (n, *shape)."""
        with torch.no_grad():
            logits: Tensor = self.label_net(torch.from_numpy(x).flatten(1))
        return np.asarray(logits.argmax(dim=1).numpy(), dtype=np.int64)


class Perceptron(nn.Module):
    """One hidden layer of softplus over one or several inputs side by side."""

    def __init__(self, inputs: tuple[int, ...], hidden: int, outputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.first = nn.Linear(sum(inputs), hidden)
        self.second = nn.Linear(hidden, outputs)

    def forward(self, *parts: Tensor) -> Tensor:
        """Outputs (..., outputs) of parts (..., inputs[i]), which broadcast against each other.

        A sum of products instead of one product of a concatenation: it is the same, but an image
        is not multiplied anew for every label that is enumerated, which is in the peer's favour.
        """
        weights = torch.split(self.first.weight, list(self.inputs), dim=1)
        products = [F.linear(part, weight) for part, weight in zip(parts, weights, strict=True)]
        hidden = self.first.bias + sum(products)
        output: Tensor = self.second(F.softplus(hidden))
        return output


@dataclass(frozen=True, slots=True)
class Losses:
    """What is minimised, by one optimiser.

    Attributes:
        unlabelled: the negative ELBO with the label summed out.
        labelled: the negative ELBO with the label observed, where there is nothing to sum out.
        classification: of the labelled inputs.
    """

    unlabelled: SVI
    labelled: SVI
    classification: SVI


def _losses(vae: Ssvae, settings: PyroSsvae) -> Losses:
    # What pyro.optim.Adam is, under a name that a type checker can see.
    adam = {"lr": settings.learning_rate, "betas": settings.betas}
    optimizer = PyroOptim(torch.optim.Adam, adam)
    guide = config_enumerate(vae.guide, "parallel")
    return Losses(
        SVI(vae.model, guide, optimizer, loss=TraceEnum_ELBO(max_plate_nesting=1)),
        SVI(vae.model, vae.guide, optimizer, loss=Trace_ELBO()),
        SVI(vae.label_model, vae.label_guide, optimizer, loss=Trace_ELBO()),
    )


def _batches(x: Tensor, settings: PyroSsvae) -> Iterator[Tensor]:
    """Batches (B, size) of all epochs, each in a new order."""
    steps = max(1, len(x) // settings.batch)
    for _ in range(settings.epochs):
        yield from torch.split(x[torch.randperm(len(x))[: steps * settings.batch]], settings.batch)


def _steps_of_epoch(dataset: Dataset, batch: int) -> int:
    return max(1, len(dataset.unlabelled) // batch)
