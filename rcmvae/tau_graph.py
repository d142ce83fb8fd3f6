"""`tau.onnx`: from channel logits to label probabilities and uncertainty, without torch."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from rcmvae.graph_text import with_constants
from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.ownership import OWNERSHIP_TEMPERATURE
from rcmvae.uncertainty import entropy

# On one row every operator costs as much as thousands of multiplications. So what does not depend
# on the input is a constant, such as the entropies of rows of tau, and what is linear in the
# responsibilities is one product. (Products with vectors would save a Squeeze, but ONNX Runtime
# computes them row by row.) Tau has a floor, so no probability is zero. The total is at least the
# sum of two of its parts, and the third is what is left: computed apart, it would miss the sum by
# up to 1e-5 in float32.
_TAU_TEXT = """
tau (float[N, {channels}] logits) => (
    float[N, {channels}] responsibilities, int64[N] channel, float[N, {labels}] probabilities,
    float[N] total, float[N] aleatoric, float[N] channel_ambiguity,
    float[N] label_map_ignorance, float[N] responsibility, float[N] unowned)
<float one = {{1.0}}, int64[1] last = {{1}}, int64[3] parts = {{{labels}, 1, 1}}>
{{
    tempered = Div (logits, temperature)
    responsibilities = Softmax <axis = 1> (tempered)
    channel = ArgMax <axis = 1, keepdims = 0> (logits)
    told = MatMul (responsibilities, spoken)
    probabilities, aleatoric_column, ignorance_column = Split <axis = 1> (told, parts)
    aleatoric = Squeeze (aleatoric_column, last)
    label_map_ignorance = Squeeze (ignorance_column, last)
    within_channels = Add (aleatoric, label_map_ignorance)
    logarithm = Log (probabilities)
    weighted = Mul (probabilities, logarithm)
    negative_entropy = ReduceSum <keepdims = 0> (weighted, last)
    entropy = Neg (negative_entropy)
    total = Max (entropy, within_channels)
    channel_ambiguity = Sub (total, within_channels)
    sure = Mul (responsibilities, row_peak)
    surest = ReduceMax <keepdims = 0> (sure, last)
    responsibility = Sub (one, surest)
    softened = Div (logits, ownership_temperature)
    soft_responsibilities = Softmax <axis = 1> (softened)
    unowned_shares = Mul (soft_responsibilities, unownership)
    unowned = ReduceSum <keepdims = 0> (unowned_shares, last)
}}
"""


def tau_graph(
    label_map: LabelMap, temperature: float, ownership: NDArray[np.float64]
) -> ModelProto:
    """Write the graph.

    Args:
        label_map: evidence and floor.
        temperature: divides the logits, > 0.
        ownership: how far labels speak for each channel, within [0, 1], (K,).
    """
    tau = label_map.tau
    spread = expected_entropy(label_map.counts, label_map.floor)
    text = _TAU_TEXT.format(channels=tau.shape[0], labels=tau.shape[1])
    constants = {
        "temperature": np.array(temperature),
        "spoken": np.column_stack([tau, spread, np.maximum(entropy(tau) - spread, 0.0)]),
        "row_peak": tau.max(axis=1),
        "unownership": 1.0 - ownership,
        "ownership_temperature": np.array(OWNERSHIP_TEMPERATURE),
    }
    return with_constants(text, constants)
