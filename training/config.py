"""The configuration of one run: a tree of frozen dataclasses, checked as a whole."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from rcmvae.errors import InvalidInput
from training.objective_config import ObjectiveConfig
from training.setting import (
    AUTO,
    FORBID_EXTRA,
    AutoCount,
    AutoCountOrZero,
    AutoPositive,
    AutoShare,
    AutoWeight,
    Count,
    CountOrZero,
    OpenShare,
    Positive,
    Seed,
    Share,
    Weight,
)


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where inputs come from and how they are split.

    Attributes:
        source: ``digits`` (scikit-learn's, in the package), a folder of IDX files, or an NPZ file.
        labels: labelled examples in all, spread evenly over the labelled classes; at least one
            for each, or 0 for none at all: the map then waits for corrections.
        unlabelled_classes: classes that occur in the unlabelled data but get no label.
        held_out: inputs kept from training for calibration and the golden set; ``auto``: 300,
            or a thirtieth of many more, at most a fifth of all.
        density_share: share of the held-out inputs on which the fused density is fitted; the
            others calibrate, so that the guarantee holds exactly.
        test: inputs kept for the test where the source brings no test set of its own; ``auto``:
            597, at most a third of all.
        limit: use only so many training inputs (0: all).
    """

    __pydantic_config__ = FORBID_EXTRA
    source: str = "digits"
    labels: CountOrZero = 100
    unlabelled_classes: tuple[str, ...] = ()
    held_out: AutoCount = AUTO
    density_share: OpenShare = 0.2
    test: AutoCountOrZero = AUTO
    limit: CountOrZero = 0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Size and parts of the network.

    Attributes:
        encoder: ``conv`` for images, ``mlp`` for vectors; ``auto`` knows which.
        decoder: ``mlp`` for anything, ``conv`` for images.
        conditioning: how a channel's embedding steers the decoder: ``film``, ``concat``, or
            ``cin`` (conditional instance normalisation, for the ``conv`` decoder).
        layout: ``decentralized`` (one latent per channel) or ``shared`` (one for all of them).
        prior: on z: ``standard``, ``mixture`` (learned means), ``vamp`` (learned pseudo-inputs
            through the encoder) or ``geometric`` (fixed centres).
        centres: of the geometric prior: on a ``circle``, or on a ``grid``.
        centre_distance: radius of the circle, or spacing of the grid.
        channel_prior: on c: ``uniform`` or ``learnable``.
        likelihood: ``bernoulli``, or ``gaussian`` with a decoded standard deviation; ``auto``:
            ``bernoulli`` for images, ``gaussian`` for vectors.
        sigma: of the gaussian: one for an ``image``, or one for a ``pixel`` (a feature of a
            vector); ``auto``: ``image`` for images, ``pixel`` for vectors.
        channels_per_class: K is this times the number of classes, unless ``num_channels`` is set.
        num_channels: K, or 0 to take it from the classes.
        latent_dim: d, dimension of each channel's latent.
        filters: convolution filters of the first block; later blocks have twice as many.
        features: width of the encoder's last hidden layer.
        embedding_dim: E, dimension of a channel embedding.
        decoder_hidden: width of the decoder's hidden layers.
        served_decoder_hidden: the same of the decoder that is served, fitted after the fit where it
            is narrower (training/served_decoder.py); 0 to serve the fit's own.
    """

    __pydantic_config__ = FORBID_EXTRA
    encoder: Literal["auto", "conv", "mlp"] = "auto"
    decoder: Literal["mlp", "conv"] = "mlp"
    conditioning: Literal["film", "concat", "cin"] = "film"
    layout: Literal["decentralized", "shared"] = "decentralized"
    prior: Literal["standard", "mixture", "vamp", "geometric"] = "standard"
    centres: Literal["circle", "grid"] = "circle"
    centre_distance: Positive = 3.0
    channel_prior: Literal["uniform", "learnable"] = "uniform"
    likelihood: Literal["auto", "bernoulli", "gaussian"] = "auto"
    sigma: Literal["auto", "image", "pixel"] = "auto"
    channels_per_class: Count = 3
    num_channels: CountOrZero = 0
    latent_dim: Count = 8
    filters: AutoCount = AUTO
    features: Count = 256
    embedding_dim: Count = 16
    decoder_hidden: Count = 256
    served_decoder_hidden: CountOrZero = 64


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Random affine views of an image; none for vectors. ``auto``: by the image's size.

    Attributes:
        rotation: largest angle, radians.
        scale: largest relative change of size.
        shear: largest shear.
        shift: largest shift, as a share of the image's side.
        elastic: standard deviation of an elastic displacement, as a share of the image's side.
        elastic_points: of the coarse grid on which it is drawn, along each axis.
        target: strength of the view that gives targets (``objective.second_view``), as a share
            of these extents.
    """

    __pydantic_config__ = FORBID_EXTRA
    rotation: AutoWeight = AUTO
    scale: AutoShare = AUTO
    shear: AutoWeight = AUTO
    shift: AutoShare = AUTO
    elastic: AutoShare = AUTO
    elastic_points: Annotated[int, Field(ge=2)] = 4
    target: Share = 0.5


@dataclass(frozen=True, slots=True)
class FitConfig:
    """The optimisation.

    Attributes:
        epochs: passes over the unlabelled inputs; ``auto``: by their number.
        batch: unlabelled inputs in one step.
        labelled_batch: labelled inputs in one step, drawn with replacement.
        peak_lr: highest learning rate of the one-cycle schedule; ``auto``: by the kind of data.
        hold: share of the run until which it stays there, before it falls; ``auto`` likewise.
        average: share that the moving average of the weights keeps at a step, 0 for none; the
            average gives the targets of ``objective.second_view`` and is what is served; ``auto``
            likewise.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        restarts: how often a fit in which labels share a channel may start anew, with other
            weights and batches.
        restart_at: share of the run after which that is looked at; where no restart is left, the
            channel is parted (training/parting.py).
        threads: torch threads of each rank (0: as many as there are free cores). Another number is
            another order of sums, and in the end another model of the same seed.
        device: ``cpu`` or ``cuda``; ``auto``: CUDA where there is some.
        precision: of encoder and decoder; ``auto``: ``bfloat16`` where the device multiplies in it
            itself, ``float32`` elsewhere.
        compile: whether encoder and decoder go through torch.compile; ``auto``: on CUDA.
        checkpoint_epochs: most epochs between two checkpoints.
        checkpoint_seconds: the end of an epoch also writes one when the last is as old as this.
    """

    __pydantic_config__ = FORBID_EXTRA
    epochs: AutoCount = AUTO
    batch: Count = 128
    labelled_batch: AutoCount = AUTO
    peak_lr: AutoPositive = AUTO
    hold: AutoShare = AUTO
    average: AutoShare = AUTO
    weight_decay: Weight = 1e-3
    clip: Positive = 5.0
    restarts: CountOrZero = 2
    restart_at: OpenShare = 0.5
    threads: CountOrZero = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", True, False] = "auto"
    checkpoint_epochs: Count = 20
    checkpoint_seconds: Weight = 10.0


@dataclass(frozen=True, slots=True)
class CalibrationConfig:
    """What is fixed after the fit, on inputs that it never saw.

    Attributes:
        count_views: augmented views over which the final label counts are averaged.
        spread_labels: whether labels spread to channels without evidence, as their floor.
        probabilities: what says how sure p(y|x) is: ``leave_one_out`` over the labelled examples
            chooses temperature and Dirichlet floor, so that no other label is needed;
            ``held_out`` labels choose the temperature, and the floor is ``objective.alpha0``;
            ``auto``: the latter with many labels, which a fit knows by heart.
        owned_source: where the samples of question 2 and of the prediction sets come from:
            ``held_out`` inputs and their labels, or, where none can be spared,
            ``leave_one_out`` over the labelled examples.
        coverage: of a prediction set, where a request asks for none: ``marginal``, over all
            inputs, or ``class_conditional``, over those of every label.
        alpha: false-alarm rate that a request gets when it names none; ``auto``: 0.01, or the
            least at which so few held-out inputs can still raise an alarm.
        free_mass: a channel is free when its labelled mass is below this many examples.
        parity: largest absolute difference that export accepts between torch and ONNX.
    """

    __pydantic_config__ = FORBID_EXTRA
    count_views: Count = 16
    spread_labels: bool = True
    probabilities: Literal["auto", "leave_one_out", "held_out"] = "auto"
    coverage: Literal["marginal", "class_conditional"] = "marginal"
    owned_source: Literal["held_out", "leave_one_out"] = "held_out"
    alpha: AutoShare = AUTO
    free_mass: Positive = 0.5
    parity: Positive = 1e-4


@dataclass(frozen=True, slots=True)
class PictureConfig:
    """The 2-D picture of the page.

    Attributes:
        reference_points: training inputs that a bundle carries for the picture, about; every
            labelled one, and some of every channel, are among them.
    """

    __pydantic_config__ = FORBID_EXTRA
    reference_points: Count = 5000


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything that decides a run.

    As it is given, a field may be ``auto``; runs and bundles carry it settled
    (training/recipe.py).
    """

    __pydantic_config__ = FORBID_EXTRA
    seed: Seed = 0
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    picture: PictureConfig = field(default_factory=PictureConfig)


_ADAPTER: TypeAdapter[RunConfig] = TypeAdapter(RunConfig)


def to_json(config: RunConfig) -> dict[str, JsonValue]:
    """The configuration as plain JSON values, for the manifest."""
    dumped: dict[str, JsonValue] = _ADAPTER.dump_python(config, mode="json")
    return dumped


def from_json(values: object) -> RunConfig:
    """Read a configuration back.

    Raises:
        InvalidInput: a field is unknown, has the wrong type, or does not go with another; names it.
    """
    try:
        config = _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "configuration"
        expected = first["msg"].removeprefix("Input should be ")
        if first["type"] == "unexpected_keyword_argument":
            expected = "a field of the configuration"
        raise InvalidInput(path, expected, repr(first["input"])[:80]) from None
    _require_fit(config)
    return config


def _require_fit(config: RunConfig) -> None:
    """Refuse choices that contradict each other, or that would silently do nothing."""
    model, options = config.model, config.objective.options
    learnable = model.channel_prior == "learnable"
    if model.conditioning == "cin" and model.decoder == "mlp":
        raise InvalidInput("model.conditioning", "film or concat for the mlp decoder", "cin")
    if model.prior == "geometric" and model.latent_dim < 2:
        raise InvalidInput("model.latent_dim", "at least 2 for the geometric prior", "1")
    if learnable and not options.channel_kl:
        raise InvalidInput(
            "objective.options.channel_kl", "above 0 where model.channel_prior=learnable", "0"
        )
    if options.dirichlet and not learnable:
        raise InvalidInput(
            "objective.options.dirichlet", "0 unless model.channel_prior=learnable", "above 0"
        )
    if options.contrastive and not config.data.labels:
        raise InvalidInput(
            "objective.options.contrastive", "0 where data.labels=0", f"{options.contrastive:g}"
        )
    _require_curriculum_over(config)


def _require_curriculum_over(config: RunConfig) -> None:
    """A curriculum has to be over before the run is: what is served has no closed channel."""
    curriculum, epochs = config.objective.curriculum, config.fit.epochs
    left = epochs - math.ceil(curriculum.end * epochs) - 1
    if curriculum.start and epochs != AUTO and left < curriculum.kick_epochs:
        raise InvalidInput(
            "objective.curriculum.kick_epochs",
            f"at most {max(0, left)}, so that the last epoch has no kick",
            str(curriculum.kick_epochs),
        )
