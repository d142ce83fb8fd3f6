"""`calibration.json`: what is refused and how the error names it, and the p-values it gives."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rcmvae.calibration import Calibration, PValues, ascending, parse_calibration
from rcmvae.conformal import ConformalSample
from rcmvae.errors import BundleDamaged, InvalidInput
from rcmvae.ood import SCORE_NAMES

CALIBRATION = Calibration(
    temperature=1.5,
    alpha0=0.05,
    alpha=0.01,
    free_mass=0.5,
    score_names=SCORE_NAMES,
    owned_source="held_out",
    fused=(0.5, 1.0, 8.0),
    owned=(0.1, 0.2, 0.2, 0.9),
    label_set=(0.0, 0.3),
)
LABELLED = CALIBRATION.model_copy(
    update={"label_set": (0.0, 0.1, 0.2, 0.3, 0.4), "label_set_labels": (0, 0, 2, 0, 2)}
)
LATER = {"label_set_labels", "coverage", "probability_source"}
"""Fields that older bundles do not have."""


def test_what_is_written_is_read() -> None:
    assert parse_calibration(CALIBRATION.model_dump_json().encode()) == CALIBRATION


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("temperature", "warm"),
        ("alpha0", 0.0),
        ("alpha", 0.0),
        ("alpha", 1.0),
        ("free_mass", 0.0),
        ("owned_source", "guessed"),
        ("score_names", "kl"),
        ("fused", []),
        ("fused", [2.0, 1.0]),
        ("owned", [None]),
        ("label_set", 0.5),
        ("label_set_labels", [0, -1]),
        ("label_set_labels", [0]),
        ("coverage", "most"),
        ("coverage", "class_conditional"),
        ("probability_source", "guessed"),
        ("surprise", 1),
    ],
)
def test_a_field_that_does_not_fit_is_named(field: str, value: object) -> None:
    content = json.dumps({**CALIBRATION.model_dump(), field: value}).encode()
    with pytest.raises(BundleDamaged, match=rf"^calibration\.json: .* {field}") as damaged:
        parse_calibration(content)
    assert damaged.value.check == "calibration"


@pytest.mark.parametrize("field", sorted(Calibration.model_fields.keys() - LATER))
def test_a_missing_field_is_named(field: str) -> None:
    members = CALIBRATION.model_dump()
    del members[field]
    with pytest.raises(BundleDamaged, match=f"{field}: Field required"):
        parse_calibration(json.dumps(members).encode())


def test_an_older_calibration_is_read_as_what_it_was() -> None:
    members = {name: v for name, v in CALIBRATION.model_dump().items() if name not in LATER}
    read = parse_calibration(json.dumps(members).encode())
    assert (read.coverage, read.probability_source) == ("marginal", "held_out")
    with pytest.raises(InvalidInput, match="coverage: expected marginal"):
        PValues(read).labels(np.array([[0.5, 0.5]]), "class_conditional")


def test_class_conditional_p_values_rank_a_label_among_its_own_inputs() -> None:
    scores = np.array([[0.1, 0.1, 0.1], [0.25, 0.9, 0.25]])
    p = PValues(LABELLED).labels(1.0 - scores, "class_conditional")
    assert_allclose(p, [[3 / 4, 1.0, 3 / 3], [2 / 4, 1.0, 2 / 3]])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["temperature", "fused"])
def test_only_finite_numbers(field: str, value: str) -> None:
    old = json.dumps(CALIBRATION.model_dump()[field])
    number = value if field == "temperature" else f"[{value}]"
    content = json.dumps(CALIBRATION.model_dump()).replace(old, number)
    with pytest.raises(BundleDamaged, match=field):
        parse_calibration(content.encode())


@given(st.binary(max_size=20))
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BundleDamaged, match=r"^calibration\.json: "):
        parse_calibration(content)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_ascending_keeps_every_value(sample: list[float]) -> None:
    written = ascending(np.array(sample, dtype=np.float32))
    assert list(written) == sorted(sample)
    assert parse_calibration(
        CALIBRATION.model_copy(update={"fused": written}).model_dump_json().encode()
    ).fused == pytest.approx(written, abs=0.0)


@pytest.mark.parametrize("offset", [0.0, 5e-7, -5e-7])
def test_p_values_of_each_question(offset: float) -> None:
    """By the sample of its own question; a score within rounding of the sample's is a tie."""
    p = PValues(CALIBRATION)
    assert_array_equal(p.familiar(np.array([0.5, 1.5, 9.0])), [4 / 4, 2 / 4, 1 / 4])
    assert_array_equal(
        p.owned(np.array([0.1, 0.2, 0.5, 0.95]) + offset), np.array([5, 4, 2, 1]) / 5
    )
    assert_array_equal(
        p.labels(np.array([[0.7, 0.3], [1.0, 0.0]]) + offset), [[2 / 3, 1 / 3], [1.0, 1 / 3]]
    )


@pytest.mark.parametrize(
    ("question", "lowest"),
    [(PValues.familiar, 1 / 4), (PValues.owned, 1 / 5), (PValues.labels, 1 / 3)],
)
def test_not_a_number_is_strangest(question: Callable[..., object], lowest: float) -> None:
    assert question(PValues(CALIBRATION), np.array([np.nan], dtype=np.float32)) == lowest


def test_ties_only_raise_p_values() -> None:
    scores = np.random.default_rng(0).random(200)
    sample = np.asarray(CALIBRATION.owned)
    assert np.all(PValues(CALIBRATION).owned(scores) >= ConformalSample(sample).p_values(scores))


def test_smallest_alpha_is_that_of_the_smaller_sample() -> None:
    assert_allclose(CALIBRATION.smallest_alpha, 2 / (3 + 1))
