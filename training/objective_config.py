"""The objective's part of the configuration: weights of its terms, and when each counts."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from training.setting import (
    AUTO,
    AUTO_RAMP,
    FORBID_EXTRA,
    AutoCount,
    AutoPositive,
    AutoRamp,
    AutoShare,
    AutoWeight,
    Count,
    CountOrZero,
    OpenShare,
    Positive,
    Share,
    Weight,
)


@dataclass(frozen=True, slots=True)
class OptionsConfig:
    """Weights of the terms that are off by default: zero is off.

    Attributes:
        channel_kl: of KL(r || pi), beta_c.
        dirichlet: of -sum log pi_k: the MAP of pi under Dir(1 + weight times inputs).
        sparsity: of the usage entropy as a penalty, once ramped in.
        sparsity_ramp: shares of the run between which it is ramped in.
        repulsion: between the channel embeddings.
        peakiness: of -log density of the logits under a mixture of Gaussians.
        peak: distance of its centres from the origin, M in M e_k.
        contrastive: of the supervised contrastive loss on the labelled latents.
        contrastive_temperature: divides its cosines.
        variance: of the penalty on latents that hardly vary over the batch.
        discrepancy: of the MMD between latents and their prior.
        soft_embedding: share of the run over which the decoder goes from the embedding averaged
            by the responsibilities to the channel's own; 0 for never.
    """

    __pydantic_config__ = FORBID_EXTRA
    channel_kl: Weight = 0.0
    dirichlet: Weight = 0.0
    sparsity: Weight = 0.0
    sparsity_ramp: tuple[Share, Share] = (0.7, 1.0)
    repulsion: Weight = 0.0
    peakiness: Weight = 0.0
    peak: Positive = 5.0
    contrastive: Weight = 0.0
    contrastive_temperature: Positive = 0.1
    variance: Weight = 0.0
    discrepancy: Weight = 0.0
    soft_embedding: Share = 0.0


@dataclass(frozen=True, slots=True)
class CurriculumConfig:
    """Channels that open one after another, as the reconstruction stalls.

    Attributes:
        start: channels open at the start; 0 for all of them, which is no curriculum.
        step: channels that open at once.
        patience: epochs without progress before the next ones open.
        tolerance: share by which the reconstruction has to fall to count as progress.
        kick: what is added to the logits of channels that have just opened, fading to zero.
        kick_epochs: epochs over which it fades.
        end: share of the run after which all channels are open.
    """

    __pydantic_config__ = FORBID_EXTRA
    start: CountOrZero = 0
    step: Count = 2
    patience: Count = 2
    tolerance: Share = 0.01
    kick: Weight = 2.0
    kick_epochs: Count = 3
    end: OpenShare = 0.5


@dataclass(frozen=True, slots=True)
class ObjectiveConfig:
    """Weights of the objective's terms; docs/math.md has their formulas.

    Attributes:
        reconstruction: weight of the negative ELBO, which is divided by the input's size.
        routing: ``expectation`` over the top channels, or over a relaxed sample of the channel,
            ``gumbel`` (soft) or ``gumbel_st`` (straight-through).
        gumbel_temperature: of the sample, at the start and at the end of the run.
        top_channels: M, channels over which the expectation is taken exactly.
        decoded: share of the unlabelled batch that is decoded: reconstruction loses little by it.
        second_view: what the agreement compares a view with: ``learning``, another view that gets
            gradients too, or ``target``, a weaker view that gets none.
        kl_form: ``routed`` like the reconstruction, or ``all``: the sum over all K, unweighted.
        kl_warmup: share of the run over which the weight of KL_z rises from 0 to 1.
        supervised: weight of the supervised term once ramped in.
        supervised_ramp: shares of the run between which it is ramped in.
        usage: weight of the usage reward at the start.
        usage_fade: shares of the run between which it fades to zero.
        usage_momentum: of the moving average of the mean responsibilities; 0 for the batch alone.
        channel_agreement: weight of the mutual information between views on channels; ``auto``:
            0 for vectors, which have no second view.
        label_agreement: weight of the same through the label map, once ramped in; ``auto`` too.
        evidence_half: labelled examples with which a channel gives half of its mass to its labels
            in the agreement on labels, and half to none (docs/math.md).
        label_agreement_ramp: shares of the run between which it is ramped in.
        pseudo_label: weight of the second view's confident labels as targets, once ramped in.
        pseudo_label_ramp: shares of the run between which it is ramped in; ``auto`` too.
        pseudo_label_threshold: least p(y|x) of the second view that makes a target; ``auto`` too.
        graph_label: weight at the start of labels spread over the nearest inputs as targets
            (training/label_graph.py); the graph is made anew at every start.
        graph_label_fade: shares of the run between which it fades to zero.
        alpha0: Dirichlet floor of the label counts, per label, where ``calibration.probabilities``
            is ``held_out``; else it is chosen.
        fit_alpha0: the same during the fit, where the counts move and a high floor blunts tau.
        count_decay: decay of the label counts per step in training.
        options: terms that are off by default.
        curriculum: off by default.
    """

    __pydantic_config__ = FORBID_EXTRA
    reconstruction: Weight = 8.0
    routing: Literal["expectation", "gumbel", "gumbel_st"] = "expectation"
    gumbel_temperature: tuple[Positive, Positive] = (1.0, 0.5)
    top_channels: AutoCount = AUTO
    decoded: AutoPositive = AUTO
    second_view: Literal["auto", "learning", "target"] = "auto"
    kl_form: Literal["routed", "all"] = "routed"
    kl_warmup: Share = 0.3
    supervised: AutoWeight = AUTO
    supervised_ramp: AutoRamp = AUTO_RAMP
    usage: Weight = 1.0
    usage_fade: AutoRamp = AUTO_RAMP
    usage_momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    channel_agreement: AutoWeight = AUTO
    label_agreement: AutoWeight = AUTO
    label_agreement_ramp: AutoRamp = AUTO_RAMP
    evidence_half: AutoPositive = AUTO
    pseudo_label: AutoWeight = AUTO
    pseudo_label_ramp: tuple[Share, Share] = (0.1, 0.3)
    pseudo_label_threshold: AutoShare = AUTO
    graph_label: AutoWeight = AUTO
    graph_label_fade: AutoRamp = AUTO_RAMP
    alpha0: Positive = 0.02
    fit_alpha0: AutoPositive = AUTO
    count_decay: Share = 0.98
    options: OptionsConfig = field(default_factory=OptionsConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
