"""Export: ONNX says what torch says, or nothing is published."""

import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, Lineage, load_current, publish_bundle
from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.errors import ParityError
from rcmvae.graph_text import IR_VERSION, OPSET
from rcmvae.predictor import Predictor
from tests.training.tiny import TinyRun, tiny_config, tiny_dataset
from training.assemble import assemble
from training.data import Dataset, Examples, label_ids
from training.encode import encode, session_of
from training.evaluate import evaluate
from training.export import Parity, measure_parity, require_parity
from training.fit import fit
from training.model.network import RcmVae
from training.run_io import read_run

GRAPHS = (ENCODER, TAU, DECODER, SCORES)


@pytest.fixture
def network(tiny: TinyRun) -> RcmVae:
    """The tiny run's network, the test's own."""
    return read_run(tiny.run)[2].network.eval()


def parity_of(network: RcmVae, bundle: Bundle, x: NDArray[np.float32]) -> Parity:
    return measure_parity(network, bundle.read(ENCODER), bundle.read(DECODER), x)


def test_the_exported_graphs_say_what_torch_says_on_inputs_never_traced(
    network: RcmVae, bundle: Bundle
) -> None:
    parity = parity_of(network, bundle, tiny_dataset().test.x)
    assert 0.0 < parity.worst < 1e-4


@pytest.mark.parametrize("rows", [1, 2, 3, 17])
def test_any_number_of_rows_goes_through(network: RcmVae, bundle: Bundle, rows: int) -> None:
    x = tiny_dataset().test.x[:rows]
    encoded = encode(session_of(bundle.read(ENCODER)), x)
    with torch.no_grad():
        expected, texture = network.encoder.encode_with_texture(torch.from_numpy(x))
    for actual, part in zip(
        (encoded.logits, encoded.mu, encoded.logvar, encoded.features, encoded.texture),
        (*expected, texture),
        strict=True,
    ):
        np.testing.assert_allclose(actual, part.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("weight", "differs"),
    [
        ("encoder.channel_head.bias", "responsibilities"),
        ("encoder.mu_head.bias", "latent"),
        ("encoder.logvar_head.bias", "latent"),
        ("decoder.out.bias", "reconstruction"),
    ],
)
def test_a_weight_changed_after_export_is_seen(
    network: RcmVae, bundle: Bundle, weight: str, differs: str
) -> None:
    with torch.no_grad():
        network.get_parameter(weight).view(-1)[::2].add_(0.1)
    parity = parity_of(network, bundle, tiny_dataset().test.x)
    assert getattr(parity, differs) > 1e-3
    with pytest.raises(ParityError, match=rf"expected at most 0\.0001, got .*{differs}="):
        require_parity(parity, 1e-4)


def test_a_weight_that_is_no_number_is_refused(network: RcmVae, bundle: Bundle) -> None:
    with torch.no_grad():
        network.get_parameter("decoder.out.bias")[0] = float("nan")
    with pytest.raises(ParityError):
        require_parity(parity_of(network, bundle, tiny_dataset().test.x), 1e-4)


@pytest.mark.parametrize("name", ["responsibilities", "latent", "features", "reconstruction"])
@pytest.mark.parametrize("value", [0.2, float("nan")])
def test_every_difference_counts(name: str, value: float) -> None:
    parity = replace(Parity(0.0, 0.0, 0.0, 0.0), **{name: value})
    with pytest.raises(ParityError):
        require_parity(parity, 0.1)
    require_parity(Parity(0.1, 0.1, 0.1, 0.1), 0.1)


def test_graphs_name_no_path_of_this_machine(bundle: Bundle) -> None:
    for name in GRAPHS:
        content = bundle.read(name)
        assert not re.search(rb"/(root|home|work|usr|tmp|opt)/|site-packages|\.py\b", content), name
        assert b"training" not in content, name


def test_graphs_are_of_one_operator_set_and_hold_no_traces(bundle: Bundle) -> None:
    for name in GRAPHS:
        model = onnx.load_from_string(bundle.read(name))
        assert model.ir_version == IR_VERSION
        assert [(o.domain, o.version) for o in model.opset_import if not o.domain] == [("", OPSET)]
        assert not model.metadata_props
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_the_exporter_leaves_logging_as_it_was(tiny: TinyRun) -> None:
    assert tiny.exported.startswith("published ")
    assert logging.getLogger("torch.onnx").level != logging.ERROR


def vector_dataset() -> Dataset:
    """The tiny digits as vectors."""
    dataset = tiny_dataset()

    def flat(part: Examples) -> Examples:
        return Examples(part.x.reshape(len(part), -1), part.y)

    return replace(
        dataset,
        unlabelled=dataset.unlabelled.reshape(len(dataset.unlabelled), -1),
        labelled=flat(dataset.labelled),
        density=flat(dataset.density),
        calibration=flat(dataset.calibration),
        test=flat(dataset.test),
    )


@pytest.mark.slow
def test_vectors_through_an_mlp_make_a_bundle_that_answers(tmp_path: Path) -> None:
    dataset, config = vector_dataset(), tiny_config("model.encoder=mlp", "fit.epochs=2")
    state = fit(dataset, config, quiet=True)
    draft = assemble(state.network, dataset, config, Lineage(method="fit"), label_ids(dataset))
    publish_bundle(tmp_path / "models", draft, expected_parent=None)
    predictor = Predictor.open(load_current(tmp_path / "models"))
    assert predictor.manifest.input.shape == (64,)
    evaluation = evaluate(predictor, dataset, alpha=0.05)
    assert evaluation.known_inputs + evaluation.unlabelled_inputs == 100
