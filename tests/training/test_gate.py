"""The gate between a candidate and the pointer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rcmvae.bundle import Bundle, BundleDraft, load_current, new_version, stage_bundle
from rcmvae.bundle.manifest import GOLDEN
from rcmvae.errors import GateRefused
from tests.training.tiny import corrections, everything_wrong, wrong
from training.data import NO_LABEL, Examples
from training.draft import FITTED_ACCURACY, read_golden, write_golden
from training.gate import GateConfig, require_gate
from training.relabel import relabel

STRICT = GateConfig(accuracy_drop=0.01, class_drop=0.1)


@pytest.fixture
def parent(models: Path) -> Bundle:
    return load_current(models)


Stage = Callable[[BundleDraft], Bundle]


@pytest.fixture
def stage(models: Path) -> Stage:
    return lambda draft: stage_bundle(models, draft)


def test_a_candidate_that_is_as_good_passes(parent: Bundle, stage: Stage) -> None:
    candidate = stage(relabel(parent, corrections(3, 2)))
    result = require_gate(parent, candidate, STRICT)
    for actual, bundle in (
        (result.parent_accuracy, parent),
        (result.candidate_accuracy, candidate),
    ):
        assert actual == pytest.approx(bundle.manifest.metrics["golden_accuracy"])
    assert result.examples == parent.manifest.metrics["golden_labelled"]


def test_a_candidate_that_answers_worse_is_refused(parent: Bundle, stage: Stage) -> None:
    candidate = stage(relabel(parent, everything_wrong()))
    with pytest.raises(GateRefused, match=r"golden accuracy: expected at least 0\.\d+"):
        require_gate(parent, candidate, STRICT)


def test_a_candidate_that_loses_one_class_is_refused(parent: Bundle, stage: Stage) -> None:
    candidate = stage(relabel(parent, wrong(6, "1")))
    lenient = GateConfig(accuracy_drop=0.5, total_drop=0.5, class_drop=0.1)
    with pytest.raises(GateRefused, match="label '6': expected at most"):
        require_gate(parent, candidate, lenient)
    allowing = GateConfig(accuracy_drop=0.5, total_drop=0.5, class_drop=1.0)
    allowed = require_gate(parent, candidate, allowing)
    assert allowed.candidate_accuracy < allowed.parent_accuracy


def test_small_losses_do_not_add_up_unseen(parent: Bundle, stage: Stage) -> None:
    """A child may lose what the gate allows, and its own child not as much again."""
    child = stage(relabel(parent, wrong(6, "1", 20)))
    fitted = parent.manifest.metrics[FITTED_ACCURACY]
    lost = fitted - child.manifest.metrics["golden_accuracy"]
    assert lost > 0.0
    assert child.manifest.metrics[FITTED_ACCURACY] == fitted
    config = GateConfig(accuracy_drop=1.0, total_drop=lost + 1e-9, class_drop=1.0)
    require_gate(parent, child, config)
    more = [replace(c, feedback_id=f"more-{c.feedback_id}") for c in wrong(0, "1", 40)]
    with pytest.raises(GateRefused, match="golden accuracy"):
        require_gate(child, stage(relabel(child, more)), config)


def with_golden(draft: BundleDraft, golden: Examples) -> BundleDraft:
    content = write_golden(golden.take(np.arange(0)), golden)
    return replace(draft, contents={**draft.contents, GOLDEN: content})


def test_another_golden_set_is_refused(parent: Bundle, stage: Stage) -> None:
    golden = read_golden(parent.read(GOLDEN)).examples
    draft = relabel(parent, corrections(3, 1))
    candidate = stage(with_golden(draft, golden.take(np.arange(len(golden) - 1))))
    with pytest.raises(GateRefused, match="golden set: expected the parent's"):
        require_gate(parent, candidate, STRICT)


def test_a_golden_set_without_labels_cannot_judge_and_is_refused(
    parent: Bundle, stage: Stage
) -> None:
    golden = read_golden(parent.read(GOLDEN)).examples
    blind = replace(golden, y=np.full_like(golden.y, NO_LABEL))
    draft = with_golden(relabel(parent, corrections(3, 1)), blind)
    first = stage(draft)
    again = replace(draft, bundle_version=new_version(draft.created, first.version))
    with pytest.raises(GateRefused, match="golden set: expected labelled inputs"):
        require_gate(first, stage(again), STRICT)
