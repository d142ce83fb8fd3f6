"""Encoders: from an input to channel logits and one latent Gaussian per channel."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rcmvae.errors import InvalidInput
from training.config import ModelConfig
from training.model.layout import build_layout

LOGVAR_LIMIT = 6.0

SMALL_SIDE = 12
"""Images whose smaller side is below this are small."""

FINE_FILTERS = (
    ((0.0, 0.0, 0.0), (0.0, 1.0, -1.0), (0.0, 0.0, 0.0)),
    ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)),
    ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    ((0.0, -0.25, 0.0), (-0.25, 1.0, -0.25), (0.0, -0.25, 0.0)),
)
FINE_STRIDE = 3
ENERGY_FLOOR = 1e-3


class Encoding(NamedTuple):
    """What the encoder says of B inputs.

    Attributes:
        logits: channel logits a(x), (B, K).
        mu: latent means, (B, K, d).
        logvar: latent log-variances, (B, K, d), within +-LOGVAR_LIMIT.
        features: the last hidden layer, (B, F).
    """

    logits: Tensor
    mu: Tensor
    logvar: Tensor
    features: Tensor


class Encoder(nn.Module):
    """A trunk and three linear heads."""

    def __init__(self, trunk: nn.Module, config: ModelConfig, num_channels: int) -> None:
        super().__init__()
        # Replaced for inputs that come raw, by the network that knows how they lie.
        self.scale: nn.Module = nn.Identity()
        self.trunk = trunk
        self.layout = build_layout(config, num_channels)
        self.channel_head = nn.Linear(config.features, num_channels)
        self.mu_head = nn.Linear(config.features, self.layout.width)
        self.logvar_head = nn.Linear(config.features, self.layout.width)

    def forward(self, x: Tensor) -> Encoding:
        """Encode x, (B, *shape)."""
        return self.encode_scaled(self.scale(x))

    def encode_scaled(self, x: Tensor) -> Encoding:
        """Encode what ``scale`` returns, (B, *shape)."""
        return self.read(self.trunk(x))

    def encode_with_texture(self, x: Tensor) -> tuple[Encoding, Tensor]:
        """Encode x (B, *shape), and say what its texture is, (B, T); no training asks for it.

        Of a convolutional trunk: the mean of every map after each activation, and the logarithm of
        the energy of fine filters over x. It knows strokes, noise and blur, and not where they are.
        Of another trunk: the scaled input, or the first hidden layer where that is smaller.
        """
        scaled = self.scale(x)
        hidden, maps, layers = scaled, [], []
        for layer in self.trunk.children():
            hidden = layer(hidden)
            if isinstance(layer, nn.ReLU | nn.SiLU) and hidden.ndim == 4:
                maps.append(_map_means(hidden))
            elif isinstance(layer, nn.SiLU):
                layers.append(hidden)
        if maps:
            means = torch.cat(maps, dim=1).flatten(1)
            return self.read(hidden), torch.cat([means, fine_energy(scaled)], dim=1)
        flat = scaled.flatten(1)
        plain = flat if flat.shape[1] <= layers[0].shape[1] else layers[0]
        return self.read(hidden), plain

    def read(self, features: Tensor) -> Encoding:
        """What the heads say of features, (B, F)."""
        mu = self.layout.arrange(self.mu_head(features))
        logvar = self.layout.arrange(self.logvar_head(features))
        return Encoding(self.channel_head(features), mu, bounded_logvar(logvar), features)


def bounded_logvar(values: Tensor) -> Tensor:
    """A smooth clamp: no variance may explode, and no gradient may die at the bound."""
    return LOGVAR_LIMIT * torch.tanh(values / LOGVAR_LIMIT)


def _map_means(maps: Tensor) -> Tensor:
    """Mean of every map (B, M, H, W), (B, M, 1, 1).

    By a pool: ONNX Runtime's convolutions compute in blocks of maps, and a pool stays in their
    layout, where a mean takes the maps out of it.
    """
    return nn.functional.avg_pool2d(maps, list(maps.shape[2:]))


def fine_energy(x: Tensor) -> Tensor:
    """Logarithm of the energy of four filters over images (B, C, H, W), (B, 4).

    Differences across, down and along a diagonal, and a Laplacian, at every third place of each
    axis: what a strided convolution blurs. They are averages over colours.
    """
    filters = x.new_tensor(FINE_FILTERS).unsqueeze(1).expand(-1, x.shape[1], -1, -1) / x.shape[1]
    found = nn.functional.conv2d(x, filters, stride=FINE_STRIDE)
    return torch.log((found * found).sum((2, 3)) + ENERGY_FLOOR)


def conv_trunk(shape: tuple[int, ...], config: ModelConfig) -> nn.Module:
    """Convolutions with group normalisation, then one hidden layer of ``features`` units.

    Batch normalisation is left out on purpose: with few labels the labelled images move to
    channels of their own in training mode (docs/decisions/0003-recipe-digits.md).

    Args:
        shape: (C, H, W) of one input; sides below SMALL_SIDE get one step of two, others three.
        config: widths.
    """
    small = min(shape[1:]) < SMALL_SIDE
    blocks, steps = _small_blocks(shape[0], config) if small else _blocks(shape[0], config)
    sides = [-(-side // 2**steps) for side in shape[1:]]
    size = 2 * config.filters * sides[0] * sides[1]
    trunk = nn.Sequential(*blocks, nn.Flatten(), *_dense(size, config.features))
    # Channels last is what the convolutions of a CPU and of tensor cores compute in.
    return trunk if small else trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _small_blocks(channels: int, config: ModelConfig) -> tuple[list[nn.Module], int]:
    """Two blocks, the second of stride two; and how often a side is halved."""
    narrow, wide = config.filters, 2 * config.filters
    return [*_conv_block(channels, narrow, 1), *_conv_block(narrow, wide, 2)], 1


def _blocks(channels: int, config: ModelConfig) -> tuple[list[nn.Module], int]:
    """A stem that leaves the full resolution at once, for that is where the time goes.

    A 5x5 convolution of stride two without a norm and a 2x2 maximum, then two blocks.
    """
    narrow, wide = config.filters, 2 * config.filters
    stem = nn.Conv2d(channels, narrow, 5, stride=2, padding=2)
    nn.init.kaiming_normal_(stem.weight, nonlinearity="relu")
    pool = nn.MaxPool2d(2, ceil_mode=True)
    body = [*_relu_block(narrow, wide, 1), *_relu_block(wide, wide, 2)]
    return [stem, nn.ReLU(inplace=True), pool, *body], 3


def _relu_block(channels: int, filters: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return [convolution, nn.GroupNorm(math.gcd(8, filters), filters), nn.ReLU(inplace=True)]


def mlp_trunk(shape: tuple[int, ...], config: ModelConfig) -> nn.Module:
    """Two hidden layers over the flattened input.

    Layer normalisation sees no length. So the first layer gets its inputs neither as they come, for
    then what they have in common outweighs what sets them apart, nor centred, for then only their
    direction would count (docs/decisions/0006-vectors.md).
    """
    size = int(torch.Size(shape).numel())
    hidden = config.features
    first = [nn.Linear(size, hidden), nn.LayerNorm(hidden), nn.SiLU()]
    return nn.Sequential(nn.Flatten(), _Stretch(), *first, *_dense(hidden, hidden))


class _Stretch(nn.Module):
    """Scaled vectors (rcmvae/scaling.py) in units of a deviation, around one."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class; any shape."""
        return 6.0 * x - 2.0


def _conv_block(channels: int, filters: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.GroupNorm(math.gcd(8, filters), filters), nn.SiLU()]


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.LayerNorm(outputs), nn.SiLU()]


def build_encoder(shape: tuple[int, ...], config: ModelConfig, num_channels: int) -> Encoder:
    """The encoder that the configuration names, for inputs of ``shape``.

    Raises:
        InvalidInput: a convolutional encoder for inputs that are no images, or none chosen yet.
    """
    if config.encoder == "auto":
        raise InvalidInput(
            "model.encoder", "'conv' or 'mlp', as training/recipe.py settles it", "'auto'"
        )
    if config.encoder == "conv" and len(shape) != 3:
        raise InvalidInput("model.encoder", f"'mlp' for inputs of shape {shape}", "'conv'")
    trunk = conv_trunk if config.encoder == "conv" else mlp_trunk
    return Encoder(trunk(shape, config), config, num_channels)
