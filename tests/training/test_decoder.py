"""Decoders and their conditioning: formulas, shapes, and what an image's size may be."""

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rcmvae.errors import InvalidInput
from training.config import ModelConfig
from training.model.conditioning import (
    ConcatBlock,
    ConcatLayer,
    FilmBlock,
    FilmLayer,
    conv_block,
    dense_layer,
)
from training.model.decoder import build_decoder
from training.model.encoder import build_encoder


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_film_scales_and_shifts_what_is_normalised() -> None:
    layer, h, e = FilmLayer(4, 6, 3), draw(0, 5, 4), draw(1, 5, 3)
    gamma, beta = (e @ layer.film.weight.T + layer.film.bias).chunk(2, dim=1)
    expected = F.silu((1 + gamma) * F.layer_norm(layer.dense(h), (6,)) + beta)
    torch.testing.assert_close(layer(h, e), expected)


def test_concat_is_a_dense_layer_over_both() -> None:
    layer, h, e = ConcatLayer(4, 6, 3), draw(0, 5, 4), draw(1, 5, 3)
    weight = layer.dense.weight
    both = h @ weight[:, :4].T + e @ weight[:, 4:].T + layer.dense.bias
    torch.testing.assert_close(layer(h, e), F.silu(F.layer_norm(both, (6,))))


def test_cin_normalises_every_map_of_every_image_by_itself() -> None:
    block, h, e = conv_block("cin", 2, 6, 3), draw(0, 5, 2, 4, 7), draw(1, 5, 3)
    assert isinstance(block, FilmBlock)
    gamma, beta = block.film(e)[:, :, None, None].chunk(2, dim=1)
    expected = F.silu((1 + gamma) * F.instance_norm(block.convolution(h)) + beta)
    torch.testing.assert_close(block(h, e), expected, atol=1e-5, rtol=1e-4)


def test_film_normalises_all_maps_of_an_image_together() -> None:
    block, h, e = conv_block("film", 2, 6, 3), draw(0, 5, 2, 4, 7), draw(1, 5, 3)
    assert isinstance(block, FilmBlock)
    gamma, beta = block.film(e)[:, :, None, None].chunk(2, dim=1)
    expected = F.silu((1 + gamma) * F.layer_norm(block.convolution(h), (6, 4, 7)) + beta)
    torch.testing.assert_close(block(h, e), expected, atol=1e-5, rtol=1e-4)


def test_concat_adds_maps_that_are_constant_over_the_image() -> None:
    block, h, e = conv_block("concat", 2, 6, 3), draw(0, 1, 2, 4, 7), draw(1, 1, 3)
    assert isinstance(block, ConcatBlock)
    flat = torch.cat([h, torch.ones(1, 3, 4, 7) * e.view(1, 3, 1, 1)], dim=1)
    expected = F.silu(F.layer_norm(block.convolution(flat), (6, 4, 7)))
    torch.testing.assert_close(block(h, e), expected, atol=1e-5, rtol=1e-4)


def test_a_dense_layer_is_film_unless_told() -> None:
    assert isinstance(dense_layer("film", 4, 6, 3), FilmLayer)
    assert isinstance(dense_layer("concat", 4, 6, 3), ConcatLayer)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20), (1, 5, 7), (2, 2, 2), (1, 28, 28)])
@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("sigma", ["image", "pixel"])
def test_a_decoder_gives_an_image_of_any_size_and_its_spread(
    shape: tuple[int, ...], kind: Literal["mlp", "conv"], sigma: Literal["image", "pixel"]
) -> None:
    config = ModelConfig(
        decoder=kind, likelihood="gaussian", sigma=sigma, filters=4, latent_dim=3, embedding_dim=5
    )
    decoded = build_decoder(shape, config, 4)(draw(0, 6, 3), draw(1, 6, 5))
    assert decoded.logits.shape == (6, *shape)
    assert decoded.spread is not None
    assert decoded.spread.shape == ((6, *shape) if sigma == "pixel" else (6, 1, 1, 1))
    apart = decoded.logits.detach().flatten(1).unique(dim=0)
    assert len(apart) == 6, "latent and embedding say which"


def test_every_parameter_of_a_decoder_has_a_say() -> None:
    for kind, conditioning in (("conv", "cin"), ("conv", "concat"), ("mlp", "concat")):
        config = ModelConfig(
            decoder=kind,  # type: ignore[arg-type]
            conditioning=conditioning,  # type: ignore[arg-type]
            likelihood="gaussian",
            filters=4,
            latent_dim=3,
            embedding_dim=5,
            decoder_hidden=8,
        )
        decoder = build_decoder((1, 8, 8), config, 4)
        embedding = decoder.channel_embedding(torch.arange(4))
        decoded = decoder(draw(0, 4, 3), embedding)
        (decoded.logits * draw(1, 4, 1, 8, 8)).sum().add(decoded.spread.sum()).backward()
        silent = [n for n, p in decoder.named_parameters() if p.grad is None or not p.grad.any()]
        # A bias before an instance norm is taken out by it.
        assert [n for n in silent if not n.endswith("convolution.bias")] == []


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_convolutions_over_vectors_are_refused_by_name(part: str) -> None:
    config = ModelConfig(encoder="conv", decoder="conv")
    build = build_encoder if part == "encoder" else build_decoder
    with pytest.raises(InvalidInput) as caught:
        build((9,), config, 3)
    assert caught.value.field == f"model.{part}"
