"""Latent layouts: what channels share."""

import pytest
import torch

from training.config import ModelConfig
from training.model.best_latent import best_latent
from training.model.encoder import build_encoder
from training.model.layout import DecentralizedLayout, Layout, SharedLayout, build_layout

BOTH = (DecentralizedLayout(4, 3), SharedLayout(4, 3))


def test_the_configuration_names_the_layout() -> None:
    assert build_layout(ModelConfig(latent_dim=3), 4) == BOTH[0]
    assert build_layout(ModelConfig(latent_dim=3, layout="shared"), 4) == BOTH[1]


@pytest.mark.parametrize(("layout", "width"), list(zip(BOTH, (12, 3), strict=True)))
def test_a_head_becomes_one_latent_per_channel(layout: Layout, width: int) -> None:
    assert layout.width == width
    values = torch.arange(2.0 * width).view(2, width)
    arranged = layout.arrange(values)
    assert arranged.shape == (2, 4, 3)
    for k in range(4):
        own = values[:, 3 * k : 3 * k + 3] if width == 12 else values
        assert torch.equal(arranged[:, k], own)


def test_channels_draw_their_own_noise_only_where_they_have_their_own_latent() -> None:
    mu = torch.zeros(20_000, 2, 3)
    torch.manual_seed(0)
    own, shared = (layout.noise(mu) for layout in BOTH)
    assert not torch.equal(own[:, 0], own[:, 1])
    assert torch.equal(shared[:, 0], shared[:, 1])
    for noise in (own, shared):
        flat = noise[:, 0].flatten()
        assert flat.mean().item() == pytest.approx(0.0, abs=0.02)
        assert flat.std().item() == pytest.approx(1.0, abs=0.02)
    correlation = torch.corrcoef(torch.stack([own[:, 0].flatten(), own[:, 1].flatten()]))[0, 1]
    assert correlation.item() == pytest.approx(0.0, abs=0.02)


def test_an_encoder_of_the_shared_layout_gives_all_channels_one_latent() -> None:
    torch.manual_seed(0)
    config = ModelConfig(encoder="mlp", layout="shared", latent_dim=3, features=8)
    encoder = build_encoder((5,), config, 4)
    encoding = encoder(torch.rand(2, 5))
    assert encoder.mu_head.weight.shape == (3, 8)
    for part in (encoding.mu, encoding.logvar):
        assert part.shape == (2, 4, 3)
        assert torch.equal(part, part[:, :1].expand(-1, 4, -1))


def test_the_best_latent_is_the_row_of_all_latents() -> None:
    torch.manual_seed(0)
    encoder = build_encoder((5,), ModelConfig(encoder="mlp", latent_dim=3, features=8), 4)
    encoding = encoder(torch.rand(6, 5))
    channel, rows = torch.tensor([0, 3, 1, 2, 3, 0]), torch.arange(6)
    best = best_latent(encoder)
    assert best is not None
    mu, logvar = best(encoding.features, channel)
    torch.testing.assert_close(mu, encoding.mu[rows, channel])
    torch.testing.assert_close(logvar, encoding.logvar[rows, channel])


def test_a_shared_latent_needs_no_looking_up() -> None:
    config = ModelConfig(encoder="mlp", layout="shared", latent_dim=3, features=8)
    assert best_latent(build_encoder((5,), config, 4)) is None
