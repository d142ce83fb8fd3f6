"""`scores.onnx`: the scores of question 1, their fusion, and the position in the picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from rcmvae.bundle.manifest import SCORES
from rcmvae.distances import DISTANCE_NAMES, distances_of
from rcmvae.errors import BundleDamaged
from rcmvae.graph_text import with_constants
from rcmvae.ood import (
    FUSED_NAMES,
    LOG_FLOOR,
    LOGGED_NAMES,
    NUM_TYPICAL,
    SCORE_NAMES,
    SMALLEST_SIGMA,
    FeatureDensity,
    FusedDensity,
    LatentPrior,
)
from rcmvae.scaling import CENTRE, HIGHEST, LOWEST, WIDTH, Scaling

Likelihood = Literal["bernoulli", "gaussian"]

_ANCHOR, _PLANE = "position_anchor", "position_plane"
_PRIOR_MEAN, _PRIOR_LOGVAR = "prior_mean", "prior_logvar"

_AS_IT_IS = """
    flat_x = Reshape (x, flat)
"""

# rcmvae/scaling.py: what is decoded is in units of the width.
_SCALED = f"""
    raw_x = Reshape (x, flat)
    off_centre = Sub (raw_x, input_centre)
    units = Div (off_centre, input_width)
    shifted = Add (units, half)
    lowest = Constant <value = float {{{{{LOWEST}}}}}> ()
    highest = Constant <value = float {{{{{HIGHEST}}}}}> ()
    flat_x = Clip (shifted, lowest, highest)
"""

# -log p(x given z, k) of the whole input, above the least that the likelihood allows.
# log p = x l + log(1 - r) for the logit l of r. A logarithm costs as much as ten products, so it is
# taken of products of four values 1 - r, each at least 1e-6, where four divide their number.
_BERNOULLI_ERROR = """
    all_logits = Reshape (reconstruction_logits, flat)
    flat_logits = Clip (all_logits, lowest_logit, highest_logit)
    flat_r = Sigmoid (flat_logits)
    difference = Sub (flat_x, flat_r)
    hits = Mul (flat_x, flat_logits)
    hit = ReduceSum <keepdims = 1> (hits, last)
    inverse_r = Sub (one, flat_r)
    {product}
    log_inverse_r = Log (inverse_product)
    miss = MatMul (log_inverse_r, minus_products)
    raw_error = Sub (miss, hit)
    reconstruction_error = Max (raw_error, zero)
"""

_BERNOULLI_INPUTS = "float[N, {shape}] reconstruction_logits"
_GAUSSIAN_INPUTS = "float[N, {shape}] reconstruction, float[N, {shape}] sigma"

_PRODUCT_OF_FOUR = """
    inverse_1, inverse_2, inverse_3, inverse_4 = Split <axis = 1, num_outputs = 4> (inverse_r)
    inverse_12 = Mul (inverse_1, inverse_2)
    inverse_34 = Mul (inverse_3, inverse_4)
    inverse_product = Mul (inverse_12, inverse_34)
"""

_NO_PRODUCT = """
    inverse_product = Identity (inverse_r)
"""

_GAUSSIAN_ERROR = """
    decoded = Reshape (reconstruction, flat)
    difference = Sub (flat_x, decoded)
    flat_sigma = Reshape (sigma, flat)
    missed_unit = Div (difference, flat_sigma)
    missed_square = Mul (missed_unit, missed_unit)
    half_square = Mul (missed_square, half)
    relative_sigma = Div (flat_sigma, smallest_sigma)
    log_sigma = Log (relative_sigma)
    raw_errors = Add (half_square, log_sigma)
    errors = Max (raw_errors, zero)
    reconstruction_error = ReduceSum <keepdims = 1> (errors, last)
"""

# The moments of the best channel, in the coordinates of its prior: z_unit and u_logvar.
_STANDARD_PRIOR = """
    z_centred = Identity (z)
    z_unit = Identity (z)
    u_logvar = Identity (z_logvar)
"""

_OWN_PRIOR = """
    own_mean = Gather <axis = 0> (prior_mean, channel)
    own_scale = Gather <axis = 0> (prior_scale, channel)
    own_logvar = Gather <axis = 0> (prior_logvar, channel)
    z_centred = Sub (z, own_mean)
    z_unit = Div (z_centred, own_scale)
    u_logvar = Sub (z_logvar, own_logvar)
"""

# On one row an operator costs half a microsecond, whatever it does. So what several scores need is
# computed once, on columns side by side: KL and both Mahalanobis distances are sums of squares of
# what lies between an input and its channel, and all scores are sums of nine columns. Over pixels
# a product and a sum take half of the time of ReduceSumSquare.
_SCORES_TEXT = """
scores (float[N, {shape}] x, float[N, {channels}] logits, float[N, {channels}] responsibilities,
        float[N, {latent}] z, float[N, {latent}] z_logvar,
        float[N, {features}] features, float[N, {textures}] texture_maps,
        int64[N] channel, {decoded})
    => (float[N, {scores}] scores, float[N] fused, float[N, 2] position)
<float zero = {{0.0}}, float one = {{1.0}}, float half = {{0.5}},
 float smallest_sigma = {{{smallest_sigma}}},
 float lowest_logit = {{-13.815510}}, float highest_logit = {{13.815510}},
 int64[2] flat = {{0, -1}}, int64[1] last = {{1}}, float floor = {{{log_floor}}}>
{{
    {scaled_x}
    {error}
    squared = Mul (difference, difference)
    squared_error = ReduceSum <keepdims = 1> (squared, last)
    squared_x = Mul (flat_x, flat_x)
    intensity = ReduceSum <keepdims = 1> (squared_x, last)
    energy = Max (intensity, one)
    relative_reconstruction_error = Div (squared_error, energy)

    {prior}
    z_variance = Exp (u_logvar)
    variances = Concat <axis = 1> (z_variance, u_logvar)
    of_variances = Gemm (variances, variance_weights, variance_start)

    features_along = MatMul (features, features_axes)
    texture_along = MatMul (texture_maps, texture_axes)
    place = Concat <axis = 1> ({place})
    channel_place = Gather <axis = 0> (channel_places, channel)
    between = Sub (place, channel_place)
    squares = Mul (between, between)
    raw_distances = Gemm (squares, square_weights, of_variances)
    distances = Max (raw_distances, zero)

    logged = Concat <axis = 1>
        (reconstruction_error, relative_reconstruction_error, intensity, distances)
    logged_floored = Add (logged, floor)
    logs = Log (logged_floored)
    evidence = ReduceLogSumExp <keepdims = 1> (logits, last)
    typical = Concat <axis = 1> (logs, evidence)
    typical_white = Gemm (typical, typical_whitener, typical_start)
    atypicality = ReduceSumSquare <keepdims = 1> (typical_white, last)

    atypicality_floored = Add (atypicality, floor)
    log_atypicality = Log (atypicality_floored)
    log_distances = Concat <axis = 1> (logs, log_atypicality)
    standardised = Gemm (log_distances, fused_scale, fused_start)
    fused = ReduceLogSumExp <keepdims = 0> (standardised, last)

    most = ReduceMax <keepdims = 1> (responsibilities, last)
    columns = Concat <axis = 1> (logged, most, evidence, atypicality)
    scores = Gemm (columns, score_weights, score_start)

    anchor = Gather <axis = 0> (position_anchor, channel)
    position = Gemm (z_centred, position_plane, anchor)
}}
"""

_LOGGED = (
    "reconstruction_error",
    "relative_reconstruction_error",
    "intensity",
    *DISTANCE_NAMES,
)
"""Columns of ``logged``."""

_COLUMNS = (*_LOGGED, "most", "evidence", "atypicality")
"""Columns of ``columns``."""

_SUMS: Mapping[str, tuple[Mapping[str, float], float]] = {
    "negative_elbo": ({"reconstruction_error": 1.0, "kl": 1.0}, 0.0),
    "mixed": ({"relative_reconstruction_error": 0.5, "most": -0.5}, 0.5),
    "logit_energy": ({"evidence": -1.0}, 0.0),
}
"""Scores that are no column: what they are sums of, and where these start."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where inputs lie in the 2-D picture.

    Attributes:
        anchor: centre of every channel, (K, 2).
        plane: from a latent mean, less its prior's, to an offset, (d, 2).
    """

    anchor: NDArray[np.floating]
    plane: NDArray[np.floating]


def read_placement(scores: bytes) -> Placement | None:
    """The placement that a verified `scores.onnx` holds; None where it places otherwise."""
    constants = {each.name: each for each in onnx.load_from_string(scores).graph.initializer}
    if {_ANCHOR, _PLANE} - constants.keys():
        return None
    return Placement(*(numpy_helper.to_array(constants[name]) for name in (_ANCHOR, _PLANE)))


def read_prior(scores: bytes, num_channels: int, latent_dim: int) -> LatentPrior:
    """The prior on z that a verified `scores.onnx` holds; N(0, I) where it holds none.

    Raises:
        BundleDamaged: it is of other channels or latents.
    """
    constants = {each.name: each for each in onnx.load_from_string(scores).graph.initializer}
    if _PRIOR_MEAN not in constants or _PRIOR_LOGVAR not in constants:
        return LatentPrior.standard(num_channels, latent_dim)
    prior = LatentPrior(
        *(
            numpy_helper.to_array(constants[name]).astype(np.float64)
            for name in (_PRIOR_MEAN, _PRIOR_LOGVAR)
        )
    )
    if {prior.mean.shape, prior.logvar.shape} != {(num_channels, latent_dim)}:
        expected = (num_channels, latent_dim)
        raise BundleDamaged("graph", SCORES, f"prior: expected {expected}, got others")
    return prior


def scores_graph(
    shape: Sequence[int],
    features: FeatureDensity,
    texture: FeatureDensity,
    fused: FusedDensity,
    placement: Placement,
    *,
    prior: LatentPrior | None = None,
    likelihood: Likelihood = "bernoulli",
    scaling: Scaling | None = None,
) -> ModelProto:
    """Write the graph.

    Args:
        shape: shape of one input.
        features: density of the encoder's features.
        texture: density of its texture.
        fused: density behind `atypicality`, and the spread of the distances.
        placement: of the latents.
        prior: of the latents; N(0, I) for every channel if None.
        likelihood: what is read of the decoder, of the shape of x: ``reconstruction_logits``, or
            under ``gaussian`` ``reconstruction`` and ``sigma``.
        scaling: of raw inputs; None where x is what is decoded.
    """
    channels, latent_dim = len(features.means), len(placement.plane)
    standard = prior is None or prior.is_standard
    size = math.prod(shape)
    factors = 1 if size % 4 else 4
    sides = ", ".join(str(side) for side in shape)
    gaussian = likelihood == "gaussian"
    distances = distances_of(latent_dim, features, texture)
    product = _NO_PRODUCT if factors == 1 else _PRODUCT_OF_FOUR
    text = _SCORES_TEXT.format(
        shape=sides,
        decoded=(_GAUSSIAN_INPUTS if gaussian else _BERNOULLI_INPUTS).format(shape=sides),
        scaled_x=_AS_IT_IS if scaling is None else _SCALED.format(),
        error=_GAUSSIAN_ERROR if gaussian else _BERNOULLI_ERROR.format(product=product),
        prior=_STANDARD_PRIOR if standard else _OWN_PRIOR,
        place=", ".join(distances.place),
        smallest_sigma=SMALLEST_SIGMA,
        channels=channels,
        latent=latent_dim,
        features=features.means.shape[1],
        textures=texture.means.shape[1],
        scores=len(SCORE_NAMES),
        log_floor=LOG_FLOOR,
    )
    constants = {
        **distances.constants,
        **_fused_constants(fused),
        **_score_constants(),
        _ANCHOR: placement.anchor,
        _PLANE: placement.plane,
    }
    if not gaussian:
        constants["minus_products"] = np.full((size // factors, 1), -1.0)
    if prior is not None and not prior.is_standard:
        constants |= {
            _PRIOR_MEAN: prior.mean,
            "prior_scale": prior.scale,
            _PRIOR_LOGVAR: prior.logvar,
        }
    if scaling is not None:
        constants |= {CENTRE: scaling.centre, WIDTH: scaling.width}
    return with_constants(text, constants)


def _fused_constants(fused: FusedDensity) -> dict[str, NDArray[np.floating]]:
    """Both standardisations as products and sums."""
    typical = np.zeros((len(_LOGGED) + 1, NUM_TYPICAL))
    typical[[_LOGGED.index(name) for name in LOGGED_NAMES]] = fused.whitener[:-1]
    # The logit energy is the negative evidence.
    typical[-1] = -fused.whitener[-1]
    # A column of zeros is the one in log(1 + sum_j exp z_j).
    names = (*_LOGGED, "atypicality")
    scale = np.zeros((len(names), len(FUSED_NAMES) + 1))
    scale[[names.index(name) for name in FUSED_NAMES], range(len(FUSED_NAMES))] = 1 / fused.spread
    return {
        "typical_whitener": typical,
        "typical_start": -fused.mean @ fused.whitener,
        "fused_scale": scale,
        "fused_start": np.append(-fused.centre / fused.spread, 0.0),
    }


def _score_constants() -> dict[str, NDArray[np.floating]]:
    """Every score as a sum of columns: most are one of them."""
    weights = np.zeros((len(_COLUMNS), len(SCORE_NAMES)))
    start = np.zeros(len(SCORE_NAMES))
    for score, name in enumerate(SCORE_NAMES):
        parts, start[score] = _SUMS.get(name, ({name: 1.0}, 0.0))
        for column, weight in parts.items():
            weights[_COLUMNS.index(column), score] = weight
    return {"score_weights": weights, "score_start": start}
