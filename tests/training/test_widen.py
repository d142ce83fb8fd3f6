"""A refit makes room: more channels, those that were there unchanged, one where a label lies."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rcmvae.bundle import Bundle, as_bundle
from rcmvae.bundle.manifest import CALIBRATION, SCORES, WEIGHTS
from rcmvae.calibration import parse_calibration
from rcmvae.counts import read_label_map
from rcmvae.predictor import Predictor
from rcmvae.scores_graph import read_placement
from tests.training.tiny import NEW_LABEL, corrections, tiny_config, tiny_dataset, unseen
from training.config import from_json
from training.model.network import RcmVae
from training.parting import MARGIN
from training.refit import prepare, refit
from training.widen import CROSSING, Looked, NewChannel, look, plan_channel, widened


@pytest.fixture(scope="module")
def full(bundle: Bundle) -> Bundle:
    """A bundle in which no channel is free."""
    calibration = parse_calibration(bundle.read(CALIBRATION))
    none_free = calibration.model_copy(update={"free_mass": 1e-12})
    contents = {**bundle.contents, CALIBRATION: none_free.model_dump_json().encode()}
    return replace(bundle, contents=contents)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 400))
def test_hardly_any_other_input_falls_into_a_new_channel(seed: int, own: int, count: int) -> None:
    """However the inputs lie, and also where the examples lie among them."""
    generator = np.random.default_rng(seed)
    examples, others = (
        Looked(generator.normal(size=(n, 4)), 3.0 * generator.normal(size=(n, 5)))
        for n in (own, count)
    )
    channel = plan_channel(examples, others)
    # The one on the boundary may lie on either side of it by rounding.
    assert channel.attracts(others).sum() <= CROSSING * count + 1
    rest = others.features[others.logits.argmax(axis=1) == channel.source]
    ends = examples.features.mean(axis=0), (rest if len(rest) else others.features).mean(axis=0)
    np.testing.assert_allclose((ends[0] - ends[1]) @ channel.slope, 2.0 * MARGIN)
    assert (ends[0] + ends[1]) / 2.0 @ channel.slope + channel.offset <= 1e-6


def test_a_label_that_lies_apart_falls_into_its_channel_as_a_whole() -> None:
    generator = np.random.default_rng(0)
    place, logits = np.eye(4), np.tile([0.0, 4.0], (300, 1))
    others = Looked(place[0] + 0.05 * generator.normal(size=(300, 4)), logits)
    examples = Looked(place[1] + 0.05 * generator.normal(size=(5, 4)), logits[:5])
    channel = plan_channel(examples, others)
    assert channel.source == 1
    assert channel.attracts(examples).all()
    assert not channel.attracts(others).any()


@pytest.mark.parametrize(
    "parts",
    [
        (),
        ("model.layout=shared",),
        ("model.prior=mixture",),
        ("model.prior=vamp", "model.channel_prior=learnable", "objective.options.channel_kl=0.1"),
    ],
)
def test_a_wider_network_has_the_old_channels_and_a_copy(parts: tuple[str, ...]) -> None:
    config = tiny_config(*parts).model
    old, wide = (RcmVae((1, 8, 8), config, count).eval() for count in (6, 8))
    channels = [NewChannel(4, np.full(config.features, 0.1), -0.5), NewChannel(1, np.zeros(64), 0)]
    wide.load_state_dict(widened(old.state_dict(), wide.state_dict(), channels))
    x, source = torch.from_numpy(unseen(9, 5)), [4, 1]
    with torch.no_grad():
        before, after = old.encode(x), wide.encode(x)
        moments, wider = old.prior_moments(), wide.prior_moments()
        torch.testing.assert_close(after.logits[:, :6], before.logits)
        more = 0.1 * before.features.sum(dim=1) - 0.5
        torch.testing.assert_close(after.logits[:, 6], before.logits[:, 4] + more)
        torch.testing.assert_close(after.logits[:, 7], before.logits[:, 1])
        pairs = [(after.mu, before.mu), (after.logvar, before.logvar)]
        pairs += [(a[None], b[None]) for a, b in zip(wider, moments, strict=True)]
        for new, was in pairs:
            torch.testing.assert_close(new[:, :6], was)
            torch.testing.assert_close(new[:, 6:], was[:, source])
        z = torch.zeros(2, config.latent_dim)
        decoded = [n.decode(z, torch.tensor(c))[0] for n, c in ((old, source), (wide, [6, 7]))]
        torch.testing.assert_close(*decoded)


def test_a_new_label_without_a_free_channel_gets_one(full: Bundle) -> None:
    start, had = prepare(full, corrections(9, 5)), full.manifest.num_channels
    network = start.state.network
    assert network.num_channels == had + 1 == start.config.model.num_channels
    assert start.state.counts.shape == (had + 1, len(start.dataset.labels))
    for name, old in full.arrays(WEIGHTS).items():
        np.testing.assert_array_equal(network.state_dict()[name].numpy()[: len(old)], old)
    examples, others = (look(network, unseen(digit, 5)).logits for digit in (9, 0))
    assert (examples.argmax(axis=1) == had).any(), "training goes on from here"
    assert not (others.argmax(axis=1) == had).any()


def test_every_such_label_gets_its_own(full: Bundle) -> None:
    several = [*corrections(9, 3), *corrections(9, 3, "nine again")]
    assert prepare(full, several).state.network.num_channels == full.manifest.num_channels + 2


def test_where_a_channel_is_free_none_is_added(bundle: Bundle) -> None:
    network = prepare(bundle, corrections(9, 5)).state.network
    assert network.num_channels == bundle.manifest.num_channels


def test_fixed_centres_have_no_room(full: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    manifest = full.manifest
    model = manifest.configuration["model"]
    assert isinstance(model, dict)
    fixed = {**manifest.configuration, "model": {**model, "prior": "geometric"}}
    parent = replace(full, manifest=manifest.model_copy(update={"configuration": fixed}))
    network = prepare(parent, corrections(9, 5)).state.network
    assert network.num_channels == manifest.num_channels
    assert "centres of all are fixed" in caplog.text


def test_the_new_channel_becomes_the_label_s_own(full: Bundle) -> None:
    given, had = corrections(9, 5), full.manifest.num_channels
    candidate = as_bundle(refit(full, given, quiet=True))
    assert candidate.manifest.num_channels == had + 1
    assert from_json(candidate.manifest.configuration).model.num_channels == had + 1
    label_map = read_label_map(candidate)
    assert label_map.counts[had].argmax() == label_map.index(NEW_LABEL)
    assert label_map.counts[had].max() > 1.0, "in examples, of five"
    dataset, predictor = tiny_dataset(), Predictor.open(candidate)
    nines = np.array(predictor.predict(unseen(9, 60)[5:]).predicted) == NEW_LABEL
    assert nines.mean() > 0.4
    known = dataset.test.y < 9
    predicted = np.array(predictor.predict(dataset.test.x[known]).predicted)
    assert (predicted == np.array(dataset.held_labels)[dataset.test.y[known]]).mean() > 0.7
    before, after = (read_placement(b.read(SCORES)) for b in (full, candidate))
    assert before is not None
    assert after is not None
    moved = np.linalg.norm(after.anchor[:had] - before.anchor, axis=1).mean()
    apart = np.linalg.norm(before.anchor[:, None] - before.anchor[None], axis=2).mean()
    assert moved < 0.5 * apart
