"""The predictor: one bundle, its ONNX Runtime sessions, and the p-values of what they return."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import CALIBRATION, DECODER, ENCODER, SCORES, TAU, Manifest
from rcmvae.calibration import Calibration, Coverage, PValues, parse_calibration
from rcmvae.decoding import SIGMA, Decoder, Reconstruction
from rcmvae.errors import BundleDamaged
from rcmvae.graph import SERVED_OUTPUTS, Graphs, served_graph
from rcmvae.prediction import PredictionBatch
from rcmvae.sampled import Sampler, Sampling
from rcmvae.scaling import read_scaling
from rcmvae.scores_graph import Placement, read_placement, read_prior
from rcmvae.session_run import run_of
from rcmvae.uncertainty import Uncertainty

_ENCODED = ("responsibilities", "probabilities", "mu", "logvar")
"""What decoding and sampling ask for: the latents of all channels, and no scores."""
_SEVERITY_ERROR = 3
WARM_ROWS = 16


class Predictor:
    """Answers for one bundle; safe to call from several threads.

    Attributes:
        manifest: of the bundle.
        calibration: of the bundle.
        score_names: columns of the scores of an answer.
        decoder: of the bundle.
        placement: of the channels in the 2-D picture; None where the graph says it otherwise.
        active_providers: execution providers that the session really uses, first choice first.
    """

    def __init__(
        self,
        manifest: Manifest,
        calibration: Calibration,
        session: ort.InferenceSession,
        encoder: ort.InferenceSession,
        decoder: Decoder,
        placement: Placement | None,
    ) -> None:
        self.manifest = manifest
        self.calibration = calibration
        self.decoder = decoder
        self.placement = placement
        self._run = run_of(session)
        self._outputs = tuple(output.name for output in session.get_outputs())
        # ONNX Runtime computes all outputs of a session, whichever are asked for.
        self._encode = run_of(encoder)
        self._sampler = Sampler(self._encode, decoder)
        self._p_values = PValues(calibration)
        self.score_names = (*calibration.score_names, "responsibility", "unowned", "fused")
        self.active_providers: tuple[str, ...] = tuple(session.get_providers())

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int = 1,
    ) -> "Predictor":
        """Join the bundle's graphs, start sessions and warm them up.

        Args:
            bundle: a verified bundle.
            providers: execution providers in the order of preference.
            threads: threads within one operator.

        Raises:
            BundleDamaged: the graphs do not fit each other, the manifest or the calibration.
        """
        calibration = parse_calibration(bundle.read(CALIBRATION))
        graphs = Graphs(*(bundle.read(name) for name in (ENCODER, TAU, DECODER, SCORES)))
        decoder = open_session(graphs.decoder, providers, threads)
        noise = {SIGMA} & {output.name for output in decoder.get_outputs()}
        session, encoder = (
            open_session(served_graph(graphs, outputs), providers, threads)
            for outputs in ((*SERVED_OUTPUTS, *noise), _ENCODED)
        )
        manifest = bundle.manifest
        decoding = Decoder(
            decoder,
            read_scaling(graphs.scores),
            (manifest.input.low, manifest.input.high),
            read_prior(graphs.scores, manifest.num_channels, manifest.latent_dim),
        )
        placement = read_placement(graphs.scores)
        predictor = cls(manifest, calibration, session, encoder, decoding, placement)
        predictor._warm_up()
        return predictor

    def predict(
        self,
        x: NDArray[np.float32],
        *,
        coverage: Coverage | None = None,
        sampling: Sampling | None = None,
    ) -> PredictionBatch:
        """Answer for inputs x.

        Args:
            x: float32 (N, *shape), finite and within the signature's range.
            coverage: what the p-values of the labels hold for; the bundle's own if None.
            sampling: how to sample the uncertainty; without it only the closed form.

        Raises:
            InvalidInput: the bundle has no p-values of this coverage.
        """
        out = self._run(self._outputs, x)
        return PredictionBatch(
            labels=self.manifest.labels,
            probabilities=out["probabilities"],
            responsibilities=out["responsibilities"],
            channel=cast("NDArray[np.int64]", out["channel"]),
            position=out["position"],
            uncertainty=Uncertainty(
                out["total"],
                out["aleatoric"],
                out["channel_ambiguity"],
                out["label_map_ignorance"],
            ),
            score_names=self.score_names,
            scores=np.column_stack(
                [out["scores"], out["responsibility"], out["unowned"], out["fused"]]
            ),
            p_familiar=self._p_values.familiar(out["fused"]),
            p_owned=self._p_values.owned(out["unowned"]),
            label_p_values=self._p_values.labels(
                out["probabilities"], coverage or self.calibration.coverage
            ),
            observation_noise=_root_mean_square(out[SIGMA]) if SIGMA in out else None,
            sampled=None if sampling is None else self._sampler.sample(x, sampling),
        )

    def reconstruct(self, x: NDArray[np.float32], channels: int) -> Reconstruction:
        """Decode inputs by their best channels.

        Args:
            x: float32 (N, *shape), finite and within the signature's range.
            channels: M, 1 to K: how many of each input's channels, the most responsible first.
        """
        out = self._encode(("responsibilities", "mu"), x)
        best = np.argsort(-out["responsibilities"], axis=1, kind="stable")[:, :channels]
        rows = np.arange(len(x))[:, None]
        z = out["mu"][rows, best].reshape(len(x) * channels, -1)
        decoded = self.decoder.decode(z, best.reshape(-1))
        shape = (len(x), channels, *self.manifest.input.shape)
        return Reconstruction(
            best,
            out["responsibilities"][rows, best],
            decoded.values.reshape(shape),
            None if decoded.sigma is None else decoded.sigma.reshape(shape),
        )

    def _warm_up(self) -> None:
        """Run two sizes, so that no request pays for an allocation, and check what comes back."""
        self._warm_run(1)
        batch = self._warm_run(WARM_ROWS)
        columns = (
            (TAU, batch.probabilities, len(self.manifest.labels)),
            (TAU, batch.responsibilities, self.manifest.num_channels),
            (SCORES, batch.scores, len(self.score_names)),
        )
        for file, array, count in columns:
            if array.shape != (WARM_ROWS, count):
                detail = f"expected {(WARM_ROWS, count)}, got {array.shape}"
                raise BundleDamaged("shape", file, detail)

    def _warm_run(self, rows: int) -> PredictionBatch:
        signature = self.manifest.input
        x = np.full((rows, *signature.shape), signature.low, dtype=np.float32)
        try:
            return self.predict(x, sampling=Sampling(draws=2))
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise BundleDamaged("run", ENCODER, f"a first run failed: {error}") from None


def _root_mean_square(sigma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of (N, *shape) over the values of each input, (N,)."""
    flat = sigma.reshape(len(sigma), -1).astype(np.float64)
    return np.asarray(np.sqrt(np.mean(flat**2, axis=1)), dtype=np.float32)


def open_session(model: bytes, providers: Sequence[str], threads: int) -> ort.InferenceSession:
    """A session that does not spin: spinning threads beside other load halve the throughput.

    Args:
        model: a serialized ONNX model.
        providers: execution providers in the order of preference.
        threads: threads within one operator.

    Raises:
        BundleDamaged: ONNX Runtime refuses the model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SEVERITY_ERROR
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(model, options, providers=list(providers))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
        raise BundleDamaged(
            "session", ENCODER, f"ONNX Runtime refuses the graph: {error}"
        ) from None
