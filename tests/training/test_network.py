"""Encoder and decoder: shapes, bounds, and what the channel changes."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from rcmvae.errors import InvalidInput
from training.config import ModelConfig
from training.model.conditioning import Conditioning
from training.model.encoder import LOGVAR_LIMIT, build_encoder
from training.model.network import RcmVae, channel_count

SMALL = ModelConfig(
    encoder="conv",
    latent_dim=3,
    filters=4,
    features=16,
    embedding_dim=5,
    decoder_hidden=12,
)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("conv", (1, 8, 8)), ("conv", (3, 28, 20)), ("conv", (1, 5, 7)), ("mlp", (1, 8, 8))],
)
def test_encoder_gives_logits_latents_and_features(
    kind: Literal["conv", "mlp"], shape: tuple[int, ...]
) -> None:
    config = ModelConfig(encoder=kind, latent_dim=3, filters=4, features=16)
    encoding = build_encoder(shape, config, 6)(torch.rand(2, *shape))
    assert encoding.logits.shape == (2, 6)
    assert encoding.mu.shape == encoding.logvar.shape == (2, 6, 3)
    assert encoding.features.shape == (2, 16)


def test_what_is_read_from_the_features_is_the_encoding() -> None:
    network = RcmVae((1, 8, 8), SMALL, 6)
    x = torch.rand(3, 1, 8, 8)
    features, logits = network.look(x)
    whole = network.encode(x)
    for part, own in zip(network.encoder.read(features), whole, strict=True):
        assert torch.equal(part, own)
    assert torch.equal(logits, whole.logits)


def test_mlp_takes_vectors() -> None:
    config = ModelConfig(encoder="mlp", latent_dim=3, features=16)
    assert build_encoder((9,), config, 4)(torch.rand(2, 9)).mu.shape == (2, 4, 3)


@pytest.mark.parametrize("kind", ["conv", "mlp"])
def test_an_input_is_encoded_alike_in_any_batch_and_in_either_mode(
    kind: Literal["conv", "mlp"],
) -> None:
    torch.manual_seed(0)
    config = ModelConfig(encoder=kind, latent_dim=3, filters=4, features=16)
    encoder = build_encoder((1, 8, 8), config, 6)
    x = torch.rand(9, 1, 8, 8)
    together, alone = encoder.train()(x), encoder.eval()(x[4:5])
    for part, own in zip(together, alone, strict=True):
        torch.testing.assert_close(part[4:5], own, atol=1e-5, rtol=1e-5)


def test_logvar_is_bounded_and_keeps_a_gradient_at_the_bound() -> None:
    torch.manual_seed(0)
    encoder = build_encoder((4,), ModelConfig(encoder="mlp", latent_dim=2, features=8), 3)
    with torch.no_grad():
        encoder.logvar_head.bias.fill_(2 * LOGVAR_LIMIT)
    logvar = encoder(torch.rand(5, 4)).logvar
    assert logvar.abs().max() <= LOGVAR_LIMIT
    logvar.sum().backward()
    gradient = encoder.logvar_head.bias.grad
    assert gradient is not None
    assert (gradient > 0).all()


@pytest.mark.parametrize(
    ("kind", "conditioning"),
    [("mlp", "film"), ("mlp", "concat"), ("conv", "film"), ("conv", "concat"), ("conv", "cin")],
)
def test_channel_changes_what_a_latent_decodes_to(
    kind: Literal["mlp", "conv"], conditioning: Conditioning
) -> None:
    config = replace(SMALL, decoder=kind, conditioning=conditioning)
    torch.manual_seed(0)
    network = RcmVae((1, 4, 6), config, 5)
    z = torch.randn(1, 3).expand(5, -1)
    decoded = network.decode(z, torch.arange(5))
    assert decoded.logits.shape == (5, 1, 4, 6)
    assert decoded.spread is None
    assert len(torch.unique(decoded.logits.detach(), dim=0)) == 5
    alone = network.decode(z[:1], torch.tensor([3])).logits
    torch.testing.assert_close(alone, decoded.logits[3:4], atol=1e-5, rtol=1e-5)


def test_network_puts_them_together() -> None:
    network = RcmVae((1, 8, 8), SMALL, 7)
    encoding = network.encode(torch.rand(2, 1, 8, 8))
    assert encoding.logits.shape == (2, 7)
    assert network.decode(encoding.mu[:, 0], torch.tensor([0, 6])).logits.shape == (2, 1, 8, 8)


def test_channel_count_is_a_multiple_of_the_classes_unless_set() -> None:
    assert channel_count(ModelConfig(channels_per_class=4), 10) == 40
    assert channel_count(ModelConfig(channels_per_class=4, num_channels=7), 10) == 7


@pytest.mark.parametrize("filters", [1, 6, 8, 12, 20])
def test_any_number_of_filters_goes(filters: int) -> None:
    config = ModelConfig(encoder="conv", latent_dim=2, filters=filters, features=8)
    assert build_encoder((1, 8, 8), config, 3)(torch.rand(2, 1, 8, 8)).logits.shape == (2, 3)


def test_a_convolutional_encoder_refuses_vectors_by_name() -> None:
    with pytest.raises(
        InvalidInput, match=r"model\.encoder: expected 'mlp' for inputs of shape \(7,\)"
    ):
        build_encoder((7,), ModelConfig(encoder="conv"), 3)
