"""`scores.onnx`: the scores of question 1, their fusion, and the position in the picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from rcmvae.bundle.manifest import SCORES
from rcmvae.errors import BundleDamaged
from rcmvae.graph_text import with_constants
from rcmvae.ood import (
    FUSED_NAMES,
    LOG_FLOOR,
    LOGGED_NAMES,
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
    hits = Mul (flat_x, flat_logits)
    hit = ReduceSum <keepdims = 1> (hits, last)
    inverse_r = Sub (one, flat_r)
    {product}
    log_inverse_r = Log (inverse_product)
    missed = ReduceSum <keepdims = 1> (log_inverse_r, last)
    log_likelihood = Add (hit, missed)
    raw_error = Neg (log_likelihood)
    reconstruction_error = Max (raw_error, zero)
"""

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
    z_centred = Identity (z_mu)
    z_unit = Identity (z_mu)
    u_logvar = Identity (z_logvar)
"""

_OWN_PRIOR = """
    own_mean = Gather <axis = 0> (prior_mean, channel)
    own_scale = Gather <axis = 0> (prior_scale, channel)
    own_logvar = Gather <axis = 0> (prior_logvar, channel)
    z_centred = Sub (z_mu, own_mean)
    z_unit = Div (z_centred, own_scale)
    u_logvar = Sub (z_logvar, own_logvar)
"""

# Squared Mahalanobis distance of {input} from the mean of the best channel.
_DISTANCE = """
    {name}_units = Div ({input}, {name}_scale)
    {name}_mean = Gather <axis = 0> ({name}_means, channel)
    {name}_centred = Sub ({name}_units, {name}_mean)
    {name}_along = MatMul ({name}_centred, {name}_axes)
    {name}_explained = ReduceSumSquare <keepdims = 1> ({name}_along, last)
    {name}_length = ReduceSumSquare <keepdims = 1> ({name}_centred, last)
    {name}_whole = Mul ({name}_length, {name}_rest)
    {name}_raw = Sub ({name}_whole, {name}_explained)
    {name} = Max ({name}_raw, zero)
"""

_SCORES_TEXT = """
scores (float[N, {shape}] x, float[N, {channels}] logits, float[N, {channels}] responsibilities,
        float[N, {channels}, {latent}] mu, float[N, {channels}, {latent}] logvar,
        float[N, {features}] features, float[N, {textures}] texture_maps,
        int64[N] channel, float[N, {shape}] reconstruction, float[N, {shape}] {decoded_more})
    => (float[N, {scores}] scores, float[N] fused, float[N, 2] position)
<float zero = {{0.0}}, float one = {{1.0}}, float half = {{0.5}}, float tiny = {{1e-6}},
 float almost = {{0.999999}}, float smallest_sigma = {{{smallest_sigma}}},
 float lowest_logit = {{-13.815510}}, float highest_logit = {{13.815510}},
 int64[2] flat = {{0, -1}}, int64[1] last = {{1}}, float floor = {{{log_floor}}}>
{{
    {scaled_x}
    decoded = Reshape (reconstruction, flat)
    flat_r = Clip (decoded, tiny, almost)
    difference = Sub (flat_x, flat_r)
    {error}
    squared = Mul (difference, difference)
    squared_error = ReduceSum <keepdims = 1> (squared, last)
    squared_x = Mul (flat_x, flat_x)
    intensity = ReduceSum <keepdims = 1> (squared_x, last)
    energy = Max (intensity, one)
    relative_reconstruction_error = Div (squared_error, energy)

    row = Unsqueeze (channel, last)
    z_mu = GatherND <batch_dims = 1> (mu, row)
    z_logvar = GatherND <batch_dims = 1> (logvar, row)
    {prior}
    z_square = Mul (z_unit, z_unit)
    z_variance = Exp (u_logvar)
    z_sum = Add (z_square, z_variance)
    z_less = Sub (z_sum, u_logvar)
    raw_kl = Gemm (z_less, kl_half, kl_start)
    kl = Max (raw_kl, zero)
    negative_elbo = Add (reconstruction_error, kl)

    most = ReduceMax <keepdims = 1> (responsibilities, last)
    unsure = Sub (one, most)
    twice_mixed = Add (unsure, relative_reconstruction_error)
    mixed = Mul (twice_mixed, half)
    evidence = ReduceLogSumExp <keepdims = 1> (logits, last)
    logit_energy = Neg (evidence)
    {mahalanobis}
    {texture}

    logged = Concat <axis = 1> ({logged_names})
    logged_floored = Add (logged, floor)
    logs = Log (logged_floored)
    typical = Concat <axis = 1> (logs, logit_energy)
    typical_white = Gemm (typical, typical_whitener, typical_start)
    atypicality = ReduceSumSquare <keepdims = 1> (typical_white, last)

    distances = Concat <axis = 1> ({fused_names})
    distances_floored = Add (distances, floor)
    log_distances = Log (distances_floored)
    standardised = Gemm (log_distances, fused_scale, fused_start)
    fused = ReduceLogSumExp <keepdims = 0> (standardised, last)
    scores = Concat <axis = 1> ({score_names})

    anchor = Gather <axis = 0> (position_anchor, channel)
    offset = MatMul (z_centred, position_plane)
    position = Add (anchor, offset)
}}
"""


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
        likelihood: what the decoder returns beside the reconstruction, both of the shape of x:
            ``reconstruction_logits``, or under ``gaussian`` ``sigma``.
        scaling: of raw inputs; None where x is what is decoded.
    """
    channels, latent_dim = len(features.means), len(placement.plane)
    gaussian = likelihood == "gaussian"
    product = _NO_PRODUCT if math.prod(shape) % 4 else _PRODUCT_OF_FOUR
    text = _SCORES_TEXT.format(
        shape=", ".join(str(side) for side in shape),
        decoded_more="sigma" if gaussian else "reconstruction_logits",
        scaled_x=_AS_IT_IS if scaling is None else _SCALED.format(),
        error=_GAUSSIAN_ERROR if gaussian else _BERNOULLI_ERROR.format(product=product),
        prior=_STANDARD_PRIOR if prior is None or prior.is_standard else _OWN_PRIOR,
        mahalanobis=_DISTANCE.format(name="mahalanobis", input="features"),
        texture=_DISTANCE.format(name="texture", input="texture_maps"),
        smallest_sigma=SMALLEST_SIGMA,
        channels=channels,
        latent=latent_dim,
        features=features.means.shape[1],
        textures=texture.means.shape[1],
        scores=len(SCORE_NAMES),
        log_floor=LOG_FLOOR,
        logged_names=", ".join(LOGGED_NAMES),
        score_names=", ".join(SCORE_NAMES),
        fused_names=", ".join(FUSED_NAMES),
    )
    constants = {
        **_distance_constants("mahalanobis", features),
        **_distance_constants("texture", texture),
        **_fused_constants(fused),
        "kl_half": np.full((latent_dim, 1), 0.5),
        "kl_start": np.full(1, -0.5 * latent_dim),
        _ANCHOR: placement.anchor,
        _PLANE: placement.plane,
    }
    if prior is not None and not prior.is_standard:
        constants |= {
            _PRIOR_MEAN: prior.mean,
            "prior_scale": prior.scale,
            _PRIOR_LOGVAR: prior.logvar,
        }
    if scaling is not None:
        constants |= {CENTRE: scaling.centre, WIDTH: scaling.width}
    return with_constants(text, constants)


def _distance_constants(name: str, density: FeatureDensity) -> dict[str, NDArray[np.floating]]:
    return {
        f"{name}_means": density.means / density.scale,
        f"{name}_scale": density.scale,
        f"{name}_axes": density.axes,
        f"{name}_rest": np.array(density.rest),
    }


def _fused_constants(fused: FusedDensity) -> dict[str, NDArray[np.floating]]:
    """Both standardisations as products and sums."""
    return {
        "typical_whitener": fused.whitener,
        "typical_start": -fused.mean @ fused.whitener,
        # A column of zeros is the one in log(1 + sum_j exp z_j).
        "fused_scale": np.pad(np.diag(1.0 / fused.spread), ((0, 0), (0, 1))),
        "fused_start": np.append(-fused.centre / fused.spread, 0.0),
    }
