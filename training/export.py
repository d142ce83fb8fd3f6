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
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from rcmvae.errors import ParityError
from rcmvae.graph import IR_VERSION, OPSET
from training.encode import decode_outputs, encode, session_of
from training.model.likelihood import GaussianLikelihood
from training.model.network import RcmVae

TRACE_ROWS = 2

_CHATTER = ("torch.onnx", "onnxscript", "onnx_ir")


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute differences between torch and ONNX Runtime.

    Attributes:
        responsibilities: over q(c|x).
        latent: over mu and logvar.
        features: over the encoder's features.
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


class _Decoding(nn.Module):
    """The decoder as it is served: means instead of logits, and sigma where there is one."""

    def __init__(self, network: RcmVae) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, channel: Tensor) -> tuple[Tensor, ...]:
        decoded = self.network.decode(z, channel)
        sigma = self.network.likelihood.sigma(decoded)
        mean = torch.sigmoid(decoded.logits)
        return (mean,) if sigma is None else (mean, sigma)


def decoder_outputs(network: RcmVae) -> tuple[str, ...]:
    """Names of the outputs of `decoder.onnx`."""
    gaussian = isinstance(network.likelihood, GaussianLikelihood)
    return ("reconstruction", "sigma") if gaussian else ("reconstruction",)


def export_encoder(network: RcmVae) -> bytes:
    """`encoder.onnx`: x -> logits, mu, logvar, features, for any number of rows."""
    x = torch.zeros(TRACE_ROWS, *network.shape)
    return _export(network.encoder, "encoder", {"x": x}, ["logits", "mu", "logvar", "features"])


def export_decoder(network: RcmVae, latent_dim: int) -> bytes:
    """`decoder.onnx`: z, channel -> reconstruction in [0, 1] and, under a Gaussian, sigma."""
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
    by_onnx = encode(session_of(encoder), x)
    drawn = decode_outputs(
        session_of(decoder), by_onnx.latent, by_onnx.channel, decoder_outputs(network)
    )
    with torch.no_grad():
        by_torch = network.eval().encode(torch.from_numpy(x))
        latent, channel = torch.from_numpy(by_onnx.latent), torch.from_numpy(by_onnx.channel)
        decoded = _Decoding(network)(latent, channel)
    responsibilities = by_torch.logits.softmax(dim=1).numpy()
    return Parity(
        _difference(responsibilities, by_onnx.responsibilities()),
        _largest(
            _difference(by_torch.mu.numpy(), by_onnx.mu),
            _difference(by_torch.logvar.numpy(), by_onnx.logvar),
        ),
        _difference(by_torch.features.numpy(), by_onnx.features),
        _largest(*(_difference(a.numpy(), b) for a, b in zip(decoded, drawn, strict=True))),
    )


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
