"""What a fit leaves in its bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_safetensors

from rcmvae.bundle import Bundle, Lineage, list_versions
from rcmvae.bundle.manifest import (
    CALIBRATION,
    DECODER,
    ENCODER,
    GOLDEN,
    LATENT_MAP,
    MODEL_CARD,
    SCORES,
    TAU,
    WEIGHTS,
)
from rcmvae.calibration import parse_calibration
from rcmvae.counts import read_label_map
from rcmvae.graph import Graphs
from rcmvae.predictor import Predictor
from tests.training.tiny import TinyRun, tiny_config, tiny_dataset
from training.__main__ import main
from training.assemble import assemble, build_label_map
from training.config import from_json, to_json
from training.config_file import load_config
from training.data import NO_LABEL, Examples, label_ids, load_dataset
from training.encode import encode, run_served, session_of
from training.fit import fit
from training.recipe import settled
from training.run_io import read_run


def test_manifest_says_where_it_comes_from(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest.labels == tuple("012345678")
    assert manifest.input.shape == (1, 8, 8)
    assert (manifest.num_channels, manifest.latent_dim) == (30, 3)
    assert manifest.lineage.method == "fit"
    assert manifest.lineage.parent_version is None
    assert manifest.lineage.data_sha256 == tiny_dataset().sha256
    assert from_json(manifest.configuration) == tiny_config()
    assert manifest.libraries["numpy"] == np.__version__
    assert 0 < manifest.metrics["parity_responsibilities"] < 1e-4


def held_out() -> Examples:
    density, fresh = tiny_dataset().density, tiny_dataset().calibration
    return Examples(np.concatenate([density.x, fresh.x]), np.concatenate([density.y, fresh.y]))


def test_golden_set_is_all_that_was_held_out(bundle: Bundle) -> None:
    golden, part = bundle.arrays(GOLDEN), held_out()
    np.testing.assert_array_equal(golden["x"], part.x)
    np.testing.assert_array_equal(golden["label"], part.y)
    assert golden["fresh"].sum() == len(tiny_dataset().calibration)
    assert not golden["fresh"][: len(tiny_dataset().density)].any()
    assert bundle.manifest.metrics["golden_labelled"] == (part.y != NO_LABEL).sum()


def test_golden_accuracy_is_what_the_predictor_answers(bundle: Bundle) -> None:
    part = held_out()
    known = part.y != NO_LABEL
    predicted = np.array(Predictor.open(bundle).predict(part.x[known]).predicted)
    truth = np.array(bundle.manifest.labels)[part.y[known]]
    expected = float((predicted == truth).mean())
    assert bundle.manifest.metrics["golden_accuracy"] == pytest.approx(expected)


def test_calibration_samples_have_one_score_for_every_held_out_input(bundle: Bundle) -> None:
    calibration = parse_calibration(bundle.read(CALIBRATION))
    part = tiny_dataset().calibration
    assert len(calibration.fused) == len(part)
    known = held_out().y[held_out().y != NO_LABEL]
    assert len(calibration.label_set) == len(calibration.owned) == len(known)
    assert sorted(calibration.label_set_labels or ()) == sorted(known.tolist())
    fused = Predictor.open(bundle).predict(part.x).scores[:, -1]
    np.testing.assert_allclose(calibration.fused, np.sort(fused), rtol=1e-3)


def test_label_map_holds_every_labelled_example_once(bundle: Bundle) -> None:
    label_map, dataset = read_label_map(bundle), tiny_dataset()
    assert label_map.ids == label_ids(dataset)
    np.testing.assert_array_equal(label_map.contribution_labels, dataset.labelled.y)
    np.testing.assert_allclose(label_map.contributions.sum(axis=1), 1.0, atol=1e-6)
    assert label_map.evidence.sum() == pytest.approx(45.0)


def test_label_counts_average_over_views_and_leave_the_generator_alone(tiny: TinyRun) -> None:
    _, dataset, state = read_run(tiny.run)
    ids = label_ids(dataset)
    one = tiny_config("calibration.count_views=1")
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    stream = encode(session_of(tiny.bundle.read(ENCODER)), dataset.unlabelled)
    single = build_label_map(state.network, dataset, one, ids, stream)
    several = build_label_map(state.network, dataset, tiny_config(), ids, stream)
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.no_grad():
        clean = state.network.encode(torch.from_numpy(dataset.labelled.x)).logits
    expected = clean.double().softmax(dim=1).numpy()
    np.testing.assert_allclose(single.contributions, expected, atol=1e-12)
    assert np.abs(several.contributions - expected).max() > 1e-3


def test_reference_points_are_what_the_served_graph_answers(bundle: Bundle) -> None:
    arrays, dataset = bundle.arrays(LATENT_MAP), tiny_dataset()
    count = len(dataset.unlabelled)
    assert {name: array.shape for name, array in arrays.items()} == {
        "position": (count, 2),
        "channel": (count,),
        "label": (count,),
        "fused": (count,),
        "unowned": (count,),
        "predicted": (count,),
        "logits": (count, 30),
        "number": (count,),
        "usage": (30,),
        "x": (count, 1, 8, 8),
    }
    row = np.searchsorted(dataset.split.unlabelled, arrays["number"])
    np.testing.assert_array_equal(dataset.split.unlabelled[row], arrays["number"])
    batch = Predictor.open(bundle).predict(dataset.unlabelled[row])
    np.testing.assert_array_equal(arrays["channel"], batch.channel)
    np.testing.assert_allclose(arrays["position"], batch.position, atol=1e-4)
    np.testing.assert_array_equal(
        np.array(batch.labels)[arrays["predicted"]], np.array(batch.predicted)
    )
    column = batch.score_names.index("unowned")
    np.testing.assert_allclose(arrays["unowned"], batch.scores[:, column], atol=1e-4)
    np.testing.assert_array_equal(arrays["x"], np.rint(dataset.unlabelled[row] * 255))
    shares = np.bincount(batch.channel, minlength=30) / count
    np.testing.assert_allclose(arrays["usage"], shares)


def test_reference_points_carry_the_labels_of_the_labelled_and_no_other(bundle: Bundle) -> None:
    dataset, label = tiny_dataset(), bundle.arrays(LATENT_MAP)["label"]
    index = bundle.arrays(LATENT_MAP)["number"]
    named = dict(zip(dataset.split.labelled.tolist(), dataset.labelled.y.tolist(), strict=True))
    expected = [named.get(i, NO_LABEL) for i in index.tolist()]
    np.testing.assert_array_equal(label, expected)


def test_weights_are_those_of_the_checkpoint(tiny: TinyRun, bundle: Bundle) -> None:
    weights = bundle.arrays(WEIGHTS)
    own = read_run(tiny.run)[2].network.state_dict()
    assert weights.keys() == own.keys()
    for name, tensor in own.items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())


def test_model_card_names_what_a_person_needs(bundle: Bundle) -> None:
    card = bundle.read(MODEL_CARD).decode()
    for part in (bundle.version, "1 x 8 x 8", ", ".join("012345678"), "| labelled examples | 45 |"):
        assert part in card
    for name in bundle.manifest.metrics:
        assert f"| {name} |" in card
    assert str(Path.home()) not in card


def test_a_bound_that_cannot_be_met_publishes_nothing(
    tiny: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for path in (tiny.run.checkpoint, tiny.run.history):
        (run / path.name).write_bytes(path.read_bytes())
    config = tiny_config("calibration.parity=1e-12")
    (run / "config.json").write_text(json.dumps(to_json(config)))
    models = tmp_path / "models"
    assert main(["export", str(run), "--models", str(models)]) == 1
    assert "ParityError: parity: expected at most 1e-12, got" in capsys.readouterr().err
    assert not models.exists() or not list_versions(models)


def test_the_graphs_of_a_bundle_join_for_any_outputs(bundle: Bundle) -> None:
    graphs = Graphs(*(bundle.read(name) for name in (ENCODER, TAU, DECODER, SCORES)))
    logits, fused = run_served(graphs, ("logits", "fused"), tiny_dataset().test.x)
    assert (logits.shape, fused.shape) == ((100, 30), (100,))


FEW_IMAGES = (
    "data.labels=12",
    "data.held_out=60",
    "data.test=40",
    "model.filters=8",
    "model.features=32",
    "model.latent_dim=2",
    "model.decoder_hidden=16",
    "fit.epochs=1",
    "fit.batch=32",
    "fit.threads=1",
    "calibration.count_views=2",
)


def test_images_that_train_in_channels_last_make_a_bundle(tmp_path: Path) -> None:
    """Their weights lie in another memory format, which safetensors does not take."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    x = rng.random((240, 1, 14, 14), dtype=np.float32) * (1.0 + y[:, None, None, None]) / 3.0
    source = tmp_path / "images.npz"
    np.savez(source, x=x, y=y)
    given = load_config(None, (*FEW_IMAGES, f'data.source="{source}"'))
    dataset = load_dataset(given.data, given.seed)
    config = settled(given, dataset)
    network = fit(dataset, config, quiet=True).network
    weights = network.state_dict()["encoder.trunk.3.weight"]
    assert not weights.is_contiguous(), "the case that this test is about"
    draft = assemble(network, dataset, config, Lineage(method="fit"), label_ids(dataset))
    assert draft.input.shape == (1, 14, 14)
    for name, value in load_safetensors(draft.contents[WEIGHTS]).items():
        torch.testing.assert_close(value, network.state_dict()[name])
