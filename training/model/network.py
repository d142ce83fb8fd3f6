"""RCM-VAE: encoder, decoder, priors and likelihood put together."""

from torch import Tensor, nn

from rcmvae.scaling import Scaling
from training.config import ModelConfig
from training.model.decoder import build_decoder
from training.model.encoder import Encoding, build_encoder
from training.model.likelihood import Decoded, build_likelihood
from training.model.priors import Moments, build_pi, build_prior
from training.model.scale import build_scale


def channel_count(config: ModelConfig, num_classes: int) -> int:
    """K: the configured number of channels, or a multiple of the number of classes."""
    return config.num_channels or config.channels_per_class * num_classes


class RcmVae(nn.Module):
    """The whole network for inputs of one shape and K channels.

    Args:
        shape: of one input.
        config: the parts.
        num_channels: K.
        scaling: of inputs that come raw; None for images in [0, 1].
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        config: ModelConfig,
        num_channels: int,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.num_channels = num_channels
        self.encoder = build_encoder(shape, config, num_channels)
        self.encoder.scale = build_scale(scaling)
        self.decoder = build_decoder(shape, config, num_channels)
        self.prior = build_prior(shape, config, num_channels)
        self.pi = build_pi(config, num_channels)
        self.layout = self.encoder.layout
        self.likelihood = build_likelihood(config)

    def encode(self, x: Tensor) -> Encoding:
        """Encode x, (B, *shape)."""
        encoding: Encoding = self.encoder(x)
        return encoding

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F) and channel logits (B, K) of x, (B, *shape), without latents.

        The latents of all channels are the larger part of the heads: ``encoder.read`` makes the
        whole encoding of those features that need it.
        """
        features: Tensor = self.encoder.trunk(self.encoder.scale(x))
        return features, self.encoder.channel_head(features)

    def scaled(self, x: Tensor) -> Tensor:
        """Inputs (B, *shape) as likelihoods compare them with what is decoded."""
        scaled: Tensor = self.encoder.scale(x)
        return scaled

    def decode(self, z: Tensor, channel: Tensor) -> Decoded:
        """Decode z (B, d) under channel (B,) int64."""
        return self.decode_under(z, self.decoder.channel_embedding(channel))

    def decode_under(self, z: Tensor, embedding: Tensor) -> Decoded:
        """Decode z (B, d) under any embedding (B, E)."""
        decoded: Decoded = self.decoder(z, embedding)
        return decoded

    def prior_moments(self) -> Moments:
        """Moments of p(z given k) for every channel."""
        return self.prior.moments(self.encoder.encode_scaled)
