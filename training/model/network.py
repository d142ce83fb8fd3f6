"""RCM-VAE: encoder and decoder put together."""

from torch import Tensor, nn

from training.config import ModelConfig
from training.model.decoder import FilmDecoder
from training.model.encoder import Encoding, build_encoder


def channel_count(config: ModelConfig, num_classes: int) -> int:
    """K: the configured number of channels, or a multiple of the number of classes."""
    return config.num_channels or config.channels_per_class * num_classes


class RcmVae(nn.Module):
    """The whole network for inputs of one shape and K channels."""

    def __init__(self, shape: tuple[int, ...], config: ModelConfig, num_channels: int) -> None:
        super().__init__()
        self.shape = shape
        self.num_channels = num_channels
        self.encoder = build_encoder(shape, config, num_channels)
        self.decoder = FilmDecoder(shape, config, num_channels)

    def encode(self, x: Tensor) -> Encoding:
        """Encode x, (B, *shape)."""
        encoding: Encoding = self.encoder(x)
        return encoding

    def decode(self, z: Tensor, channel: Tensor) -> Tensor:
        """Bernoulli logits (B, *shape) of z (B, d) under channel (B,)."""
        logits: Tensor = self.decoder(z, channel)
        return logits
