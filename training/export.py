"""From torch to ONNX, with a proof that both say the same.

The bound is on the largest absolute difference over real inputs. A graph that misses it is not
published: `ParityError`.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from rcmvae.errors import ParityError
from rcmvae.graph import BEST_LATENTS
from rcmvae.graph_text import IR_VERSION, OPSET
from training.encode import ENCODED, decode_outputs, encode, session_of
from training.model.best_latent import best_latent
from training.model.encoder import Encoding
from training.model.likelihood import Decoded, GaussianLikelihood, Likelihood
from training.model.network import RcmVae
from training.model.served_norm import with_served_norms
from training.model.tabulated import tabulated

TRACE_ROWS = 2

_CHATTER = ("torch.onnx", "onnxscript", "onnx_ir")


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute differences between torch and ONNX Runtime.

    Attributes:
        responsibilities: over q(c|x).
        latent: over mu and logvar.
        features: over the encoder's features and texture.
        reconstruction: over the decoding of every input by its best channel, sigma included.
    """

    responsibilities: float
    latent: float
    features: float
    reconstruction: float

    @property
    def worst(self) -> float:
        """The largest of them; no number where one of them is none."""
        return _largest(self.responsibilities, self.latent, self.features, self.reconstruction)


class _Encoding(nn.Module):
    """The encoder as it is served, with what no training needs: texture, best channel's latent."""

    def __init__(self, network: RcmVae) -> None:
        super().__init__()
        self.encoder = with_served_norms(network.encoder)
        self.best = best_latent(network.encoder)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        encoding, texture = self.encoder.encode_with_texture(x)
        if self.best is None:
            return (*encoding, texture)
        best = self.best(encoding.features, encoding.logits.argmax(dim=1))
        return (*encoding, texture, *best)


class _Decoding(nn.Module):
    """The decoder as it is served: means, and beside them sigma or, under none, their logits."""

    def __init__(self, network: RcmVae) -> None:
        super().__init__()
        self.decoder, self.embedding = tabulated(network.decoder)
        self.likelihood = network.likelihood

    def forward(self, z: Tensor, channel: Tensor) -> tuple[Tensor, ...]:
        return _means(self.decoder(z, self.embedding(channel)), self.likelihood)


def _means(decoded: Decoded, likelihood: Likelihood) -> tuple[Tensor, ...]:
    sigma = likelihood.sigma(decoded)
    return torch.sigmoid(decoded.logits), decoded.logits if sigma is None else sigma


def decoder_outputs(network: RcmVae) -> tuple[str, ...]:
    """Names of the outputs of `decoder.onnx`."""
    gaussian = isinstance(network.likelihood, GaussianLikelihood)
    return ("reconstruction", "sigma" if gaussian else "reconstruction_logits")


def export_encoder(network: RcmVae) -> bytes:
    """`encoder.onnx`: x -> logits, mu, logvar, features, texture_maps, for any number of rows.

    And ``BEST_LATENTS`` where channels have latents of their own.
    """
    encoding = _Encoding(network)
    outputs = [*ENCODED, *(() if encoding.best is None else BEST_LATENTS)]
    return _export(encoding, "encoder", {"x": torch.zeros(TRACE_ROWS, *network.shape)}, outputs)


def export_decoder(network: RcmVae, latent_dim: int) -> bytes:
    """`decoder.onnx`: z, channel -> reconstruction in [0, 1], and its logits or its sigma."""
    inputs = {
        "z": torch.zeros(TRACE_ROWS, latent_dim),
        "channel": torch.zeros(TRACE_ROWS, dtype=torch.int64),
    }
    return _export(_Decoding(network), "decoder", inputs, list(decoder_outputs(network)))


def _export(module: nn.Module, name: str, inputs: dict[str, Tensor], outputs: list[str]) -> bytes:
    rows = torch.export.Dim("N", min=1)
    with _quiet_exporter():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=tuple({0: rows} for _ in inputs),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ParityError(f"{name}: torch returned no ONNX program")
    return bytes(_cleaned(program.model_proto, name).SerializeToString())


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what the exporter says of itself: its passes, no torchvision, deprecated calls."""
    chatter = [logging.getLogger(name) for name in _CHATTER]
    levels = [logger.level for logger in chatter]
    for logger in chatter:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*LeafSpec", category=FutureWarning)
            warnings.filterwarnings("ignore", message=r".*axis name: N", category=UserWarning)
            yield
    finally:
        for logger, level in zip(chatter, levels, strict=True):
            logger.setLevel(level)


def _cleaned(model: ModelProto, name: str) -> ModelProto:
    """Name the graph, fix the IR version, and drop the traces that hold paths of this machine."""
    model.graph.name = name
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "rcmvae", "", ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    return model


def measure_parity(
    network: RcmVae, encoder: bytes, decoder: bytes, x: NDArray[np.float32]
) -> Parity:
    """Compare torch with ONNX Runtime on real inputs x, (n, *shape)."""
    session = session_of(encoder)
    by_onnx = encode(session, x)
    # Of logits far from zero an error says nothing: their means are what is compared.
    compared = [name for name in decoder_outputs(network) if name != "reconstruction_logits"]
    drawn = decode_outputs(session_of(decoder), by_onnx.latent, by_onnx.channel, compared)
    with torch.no_grad():
        by_torch, texture = network.eval().encoder.encode_with_texture(torch.from_numpy(x))
        latent, channel = torch.from_numpy(by_onnx.latent), torch.from_numpy(by_onnx.channel)
        decoded = _means(network.decode(latent, channel), network.likelihood)
    responsibilities = by_torch.logits.softmax(dim=1).numpy()
    return Parity(
        _difference(responsibilities, by_onnx.responsibilities()),
        _largest(
            _difference(by_torch.mu.numpy(), by_onnx.mu),
            _difference(by_torch.logvar.numpy(), by_onnx.logvar),
            *_best_latent_differences(session, x, by_torch),
        ),
        _largest(
            _difference(by_torch.features.numpy(), by_onnx.features),
            _difference(texture.numpy(), by_onnx.texture),
        ),
        _largest(*(_difference(a.numpy(), b) for a, b in zip(decoded, drawn, strict=False))),
    )


def _best_latent_differences(
    session: ort.InferenceSession, x: NDArray[np.float32], by_torch: Encoding
) -> list[float]:
    """Of the best channel's moments, where the encoder offers them."""
    names = [o.name for o in session.get_outputs() if o.name in BEST_LATENTS]
    if not names:
        return []
    rows, channel = torch.arange(len(x)), by_torch.logits.argmax(dim=1)
    own = (part[rows, channel].numpy() for part in (by_torch.mu, by_torch.logvar))
    return [_difference(*pair) for pair in zip(own, session.run(names, {"x": x}), strict=True)]


def _difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())


def _largest(*values: float) -> float:
    # Python's max would lose a NaN that does not come first.
    return float(np.max(values))


def require_parity(parity: Parity, bound: float) -> None:
    """Refuse graphs that differ from torch.

    Raises:
        ParityError: a difference is above ``bound``, or is no number.
    """
    if not parity.worst <= bound:
        raise ParityError(f"parity: expected at most {bound:g}, got {parity}")
