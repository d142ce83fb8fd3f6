"""The gate between a candidate and the pointer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from rcmvae.bundle import (
    Bundle,
    BundleDraft,
    GateOutcome,
    as_bundle,
    load_current,
    stage_bundle,
)
from rcmvae.bundle.manifest import CALIBRATION, GOLDEN
from rcmvae.calibration import parse_calibration
from rcmvae.predictor import Predictor
from tests.training.tiny import corrections, everything_wrong, wrong
from training.data import NO_LABEL, Examples
from training.draft import FITTED_ACCURACY, FITTED_RECALL
from training.evaluate import predict_all
from training.gate import GateConfig, judge, mcnemar
from training.golden_run import golden_answers
from training.golden_set import read_golden, write_golden
from training.relabel import relabel

STRICT = GateConfig(accuracy_drop=0.01, class_drop=0.1)


@pytest.fixture
def parent(models: Path) -> Bundle:
    return load_current(models)


Stage = Callable[[BundleDraft], Bundle]


@pytest.fixture
def stage(models: Path) -> Stage:
    return lambda draft: stage_bundle(models, draft)


def test_a_candidate_that_is_as_good_passes(parent: Bundle) -> None:
    candidate = as_bundle(relabel(parent, corrections(3, 2)))
    report = judge(parent, candidate, STRICT)
    assert (report.outcome, report.reason) == (GateOutcome.PROMOTE, "")
    for actual, bundle in (
        (report.parent_accuracy, parent),
        (report.candidate_accuracy, candidate),
    ):
        assert actual == pytest.approx(bundle.manifest.metrics["golden_accuracy"])
    assert report.examples == parent.manifest.metrics["golden_labelled"]


def test_it_judges_what_would_be_served(parent: Bundle, stage: Stage) -> None:
    """The golden set runs through the foundation once; the served graph must say the same."""
    golden = read_golden(parent.read(GOLDEN)).examples
    candidate = stage(relabel(parent, corrections(9, 8)))
    for bundle in (parent, candidate):
        answers = golden_answers(bundle)
        batch = predict_all(Predictor.open(bundle), golden.x)
        predicted = [answers.labels[i] for i in answers.predicted]
        assert predicted == list(batch.predicted)
        np.testing.assert_allclose(answers.p_familiar, batch.p_familiar)
        np.testing.assert_allclose(answers.p_owned, batch.p_owned)
        np.testing.assert_allclose(answers.label_p_values, batch.label_p_values)


@pytest.mark.parametrize("config", [GateConfig(0.0, 0.0, 0.0, 0.0, 1.0, 1.0), GateConfig()])
def test_one_that_answers_alike_always_passes(parent: Bundle, config: GateConfig) -> None:
    """Whatever the golden set is, and however strict the gate."""
    for metrics in ({}, {FITTED_ACCURACY: 1.0, f"{FITTED_RECALL}6": 1.0}):
        manifest = parent.manifest.model_copy(update={"metrics": metrics})
        report = judge(replace(parent, manifest=manifest), parent, config)
        assert report.outcome is GateOutcome.PROMOTE, report


def test_a_candidate_that_answers_worse_is_rejected(parent: Bundle) -> None:
    candidate = as_bundle(relabel(parent, everything_wrong()))
    report = judge(parent, candidate, STRICT)
    assert report.outcome is GateOutcome.REJECT
    assert report.reason.startswith("golden accuracy: expected at least 0.")
    assert report.checks[0].p_value is not None
    assert report.checks[0].p_value < 0.05


def test_a_candidate_that_loses_one_class_does_not_pass(parent: Bundle) -> None:
    candidate = as_bundle(relabel(parent, wrong(6, "1")))
    lenient = GateConfig(accuracy_drop=0.5, total_drop=0.5, class_drop=0.1, class_total_drop=1.0)
    report = judge(parent, candidate, lenient)
    assert report.outcome is not GateOutcome.PROMOTE
    assert {(c.check, c.label) for c in report.checks} == {("accuracy", None), ("class", "6")}
    allowing = replace(lenient, class_drop=1.0)
    allowed = judge(parent, candidate, allowing)
    assert allowed.outcome is GateOutcome.PROMOTE
    assert allowed.candidate_accuracy < allowed.parent_accuracy
    floor = judge(parent, candidate, replace(allowing, class_total_drop=0.05))
    assert floor.outcome is GateOutcome.HOLD
    assert floor.reason.startswith("label '6': expected a recall of at least")


def test_small_losses_do_not_add_up_unseen(parent: Bundle, stage: Stage) -> None:
    """A child may lose what the gate allows, and its own child not as much again."""
    child = stage(relabel(parent, wrong(6, "1", 20)))
    fitted = parent.manifest.metrics[FITTED_ACCURACY]
    lost = fitted - child.manifest.metrics["golden_accuracy"]
    assert lost > 0.0
    for name, value in parent.manifest.metrics.items():
        if name == FITTED_ACCURACY or name.startswith(FITTED_RECALL):
            assert child.manifest.metrics[name] == value
    config = GateConfig(1.0, lost + 1e-9, 1.0, 1.0)
    assert judge(parent, child, config).outcome is GateOutcome.PROMOTE
    more = [replace(c, feedback_id=f"more-{c.feedback_id}") for c in wrong(0, "1", 40)]
    report = judge(child, as_bundle(relabel(child, more)), config)
    assert report.outcome is GateOutcome.HOLD
    assert report.reason.startswith("golden accuracy since the last fit: expected at least")


def test_a_calibration_that_does_not_belong_to_the_graph_is_held(parent: Bundle) -> None:
    """All p-values come out tiny, or too large to keep a label out: the first shows."""
    draft = relabel(parent, corrections(3, 2))
    calibration = parse_calibration(draft.contents[CALIBRATION])
    for sample, check in (("owned", "false_alarms"), ("label_set", "coverage")):
        count = len(getattr(calibration, sample))
        other = calibration.model_copy(update={sample: (-1.0,) * count})
        contents = {**draft.contents, CALIBRATION: other.model_dump_json().encode()}
        report = judge(parent, as_bundle(replace(draft, contents=contents)), GateConfig())
        assert report.outcome is GateOutcome.HOLD
        assert [c.check for c in report.checks] == ["accuracy", check]
        assert "golden inputs" in report.reason


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_paired_test_is_scipys_binomial_test(pairs: list[tuple[bool, bool]]) -> None:
    before, after = np.array(pairs).T
    lost, won = int((before & ~after).sum()), int((~before & after).sum())
    expected = binomtest(lost, lost + won, 0.5, "greater").pvalue if lost + won else 1.0
    assert mcnemar(before, after) == pytest.approx(expected)


def with_golden(draft: BundleDraft, golden: Examples) -> BundleDraft:
    content = write_golden(golden.take(np.arange(0)), golden)
    return replace(draft, contents={**draft.contents, GOLDEN: content})


def test_another_golden_set_is_rejected(parent: Bundle) -> None:
    golden = read_golden(parent.read(GOLDEN)).examples
    draft = relabel(parent, corrections(3, 1))
    candidate = as_bundle(with_golden(draft, golden.take(np.arange(len(golden) - 1))))
    report = judge(parent, candidate, STRICT)
    assert report.outcome is GateOutcome.REJECT
    assert report.reason.startswith("golden set: expected the parent's")


def test_a_golden_set_without_labels_cannot_judge(parent: Bundle) -> None:
    golden = read_golden(parent.read(GOLDEN)).examples
    blind = replace(golden, y=np.full_like(golden.y, NO_LABEL))
    draft = with_golden(relabel(parent, corrections(3, 1)), blind)
    report = judge(as_bundle(draft), as_bundle(draft), STRICT)
    assert report.outcome is GateOutcome.REJECT
    assert report.reason.startswith("golden set: expected labelled inputs")
