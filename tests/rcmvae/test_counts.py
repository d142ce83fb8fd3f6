"""`counts.safetensors`: what is written is read, and what is no evidence is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, load_bundle, write_tensors
from rcmvae.bundle.manifest import CALIBRATION, COUNTS
from rcmvae.counts import read_label_map, write_counts
from rcmvae.errors import BundleDamaged
from rcmvae.label_map import LabelMap
from tests.rcmvae.random_maps import random_map
from tests.service.small_bundle import label_map, publish_small

CONTRIBUTIONS = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
COLUMNS = np.array([1, 0])
COUNTS_OF_BOTH = np.array([[0.0, 0.5], [0.25, 0.5], [0.75, 0.0]])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models: Path = tmp_path_factory.mktemp("counts")
    publish_small(models, "v1")
    return load_bundle(models / "v1")


def _with(bundle: Bundle, ids: str | None = '["a", "b"]', **changes: NDArray[Any] | None) -> Bundle:
    arrays = {
        "counts": COUNTS_OF_BOTH,
        "contributions": CONTRIBUTIONS,
        "contribution_labels": COLUMNS,
    } | changes
    present = {name: array for name, array in arrays.items() if array is not None}
    content = write_tensors(present, None if ids is None else {"ids": ids})
    return replace(bundle, contents={**bundle.contents, COUNTS: content})


def _same(one: LabelMap, other: LabelMap) -> None:
    assert (one.labels, one.ids, one.alpha0) == (other.labels, other.ids, other.alpha0)
    assert_array_equal(one.contributions, other.contributions)
    assert_array_equal(one.contribution_labels, other.contribution_labels)


def test_what_a_bundle_was_made_of_is_read(bundle: Bundle) -> None:
    _same(read_label_map(bundle), label_map())


@pytest.mark.parametrize("examples", [0, 1, 7])
def test_what_is_written_is_read(bundle: Bundle, examples: int) -> None:
    written = random_map(0, channels=3, labels=2, examples=examples)
    written = replace(written, labels=bundle.manifest.labels)
    contents = {**bundle.contents, COUNTS: write_counts(written)}
    read = read_label_map(replace(bundle, contents=contents))
    _same(read, written)
    assert_array_equal(read.add(np.eye(3)[:1], ["circle"], ["é"]).withdraw(["é"]).tau, written.tau)


def test_ids_of_any_text_come_back(bundle: Bundle) -> None:
    ids = ['"', "größte\n\u2028"]
    assert read_label_map(_with(bundle, json.dumps(ids))).ids == tuple(ids)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"counts": None}, "counts: expected a tensor"),
        ({"contributions": None}, "contributions: expected a tensor"),
        ({"contribution_labels": None}, "contribution_labels: expected a tensor"),
        ({"counts": COUNTS_OF_BOTH[:, :1]}, r"counts: expected float64 of shape \(3, 2\)"),
        ({"counts": COUNTS_OF_BOTH[:2]}, "counts: expected float64 of shape"),
        ({"counts": COUNTS_OF_BOTH + 1e-3}, "counts: expected the sum"),
        ({"counts": COUNTS_OF_BOTH * np.nan}, "counts: expected the sum"),
        ({"contributions": CONTRIBUTIONS[0]}, r"contributions: .* got float64 of shape \(3,\)"),
        ({"contributions": CONTRIBUTIONS[:, :2]}, "contributions: expected"),
        ({"contributions": CONTRIBUTIONS[:1]}, "contributions: expected"),
        ({"contributions": CONTRIBUTIONS.astype(np.float32)}, "contributions: .* got float32"),
        ({"contributions": -CONTRIBUTIONS}, "contributions: expected finite"),
        ({"contributions": CONTRIBUTIONS + np.inf}, "contributions: expected finite"),
        ({"contribution_labels": np.array([1, -1])}, "contribution_labels: expected 0 to 1"),
        ({"contribution_labels": np.array([1, 2])}, "contribution_labels: expected 0 to 1"),
        ({"contribution_labels": np.array([1.0, 0.0])}, "contribution_labels: expected int64"),
        ({"contribution_labels": np.array([1])}, "contribution_labels: expected"),
        ({"ids": None}, "ids: expected a JSON list"),
        ({"ids": "a, b"}, "ids: expected a JSON list"),
        ({"ids": '"ab"'}, "ids: expected a JSON list"),
        ({"ids": "[1, 2]"}, "ids: expected a JSON list"),
        ({"ids": '["a", "a"]'}, "ids: expected distinct"),
        ({"ids": '["a"]'}, r"contributions: expected float64 of shape \(1, 3\)"),
    ],
)
def test_what_is_no_evidence_is_refused(
    bundle: Bundle, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(BundleDamaged, match=rf"^counts\.safetensors: .*{named}") as damaged:
        read_label_map(_with(bundle, **changes))
    assert (damaged.value.check, damaged.value.file) == ("counts", COUNTS)


def test_a_damaged_calibration_is_named(bundle: Bundle) -> None:
    with pytest.raises(BundleDamaged, match="alpha0: Field required") as damaged:
        read_label_map(
            replace(bundle, contents={**bundle.contents, CALIBRATION: b'{"temperature": 1}'})
        )
    assert damaged.value.file == CALIBRATION
