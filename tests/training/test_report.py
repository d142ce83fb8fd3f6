"""The page and what its pictures are drawn from."""

import math
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.decomposition import PCA

from rcmvae.conformal import ConformalSample
from tests.training.tiny import (
    SETTINGS,
    TinyRun,
    run_main,
    set_flags,
    tiny_config,
    tiny_dataset,
)
from training.report import Errors, Findings, find
from training.report.answers import (
    draw_causes,
    draw_wrong_by_channel,
    draw_wrong_by_map,
    varied,
)
from training.report.channels import draw_channels, shown_channels
from training.report.curves import draw_curves, draw_usage, recorded_terms, usage_records
from training.report.inputs import mosaic
from training.report.latents import principal_plane, sample_aggregate
from training.report.page import drawn, page_of
from training.report.scores import alarm_above
from training.report.summary import differences, effective_channels, training_time
from training.run_io import read_history
from training.state import EpochRecord

RECORD = EpochRecord(0, 1.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0)
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=y> & $\\frac{$', "_名")


class Page(HTMLParser):
    """What a browser would make of a page: tags, pictures, texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.alts: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "no script in an attribute"
            if name == "alt":
                self.alts.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href"}:
                self.targets.append(value or "")

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """The pictures and the page of a run on vectors with hostile labels."""
    path = tmp_path_factory.mktemp("vectors")
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 400)
    x = np.clip(0.2 + 0.25 * y[:, None] + 0.05 * generator.standard_normal((400, 6)), 0, 1)
    np.savez(path / "v.npz", x=x, y=np.array(HOSTILE)[y])
    settings = [s for s in SETTINGS if not s.startswith(("data.unlabelled", "fit.epochs"))]
    settings += [f'data.source="{path / "v.npz"}"', "model.encoder=mlp", "fit.epochs=1"]
    settings += ["data.held_out=100", "data.limit=150"]
    run, models, pictures = str(path / "run"), str(path / "models"), str(path / "pictures")
    run_main("train", run, "--quiet", *set_flags(settings))
    run_main("export", run, "--models", models)
    run_main("report", run, "--models", models, "--quiet", "--pictures", pictures)
    return path / "pictures", Page((path / "run" / "report.html").read_text(encoding="utf-8"))


def test_vectors_have_a_page_too(vectors: tuple[Path, Page]) -> None:
    pictures, page = vectors
    assert (pictures / "reconstructions.png").is_file()
    assert {"latents", "samples", "confusion", "usage", "classes"} <= set(page.ids)


def test_hostile_labels_are_text(vectors: tuple[Path, Page]) -> None:
    _, page = vectors
    assert not page.tags & {"script", "iframe", "object", "link", "base", "form"}
    assert all(target.startswith(("data:image/png;base64,", "#")) for target in page.targets)
    for label in HOSTILE:
        assert label in page.said


def test_the_page_shows_no_folder_of_the_machine(vectors: tuple[Path, Page]) -> None:
    pictures, page = vectors
    assert str(pictures.parent) not in page.said
    assert "v.npz" in page.said


@pytest.fixture(scope="module")
def page(tiny: TinyRun) -> str:
    run_main("report", str(tiny.run.path), "--models", str(tiny.models), "--quiet")
    return tiny.run.report.read_text(encoding="utf-8")


def value_of(page: str, name: str) -> str:
    found = re.search(rf">{re.escape(name)}</th><td class=\"value\">([^<]*)<", page)
    assert found is not None, name
    return unescape(found[1])


def test_the_summary_counts_what_the_evaluation_counts(tiny: TinyRun, page: str) -> None:
    said = run_main("evaluate", "--models", str(tiny.models))
    accuracy, known = (
        float(said.split(f"{name} ")[1].split()[0]) for name in ("accuracy", "known_inputs")
    )
    wrong = int(value_of(page, "wrong answers"))
    assert wrong == round((1 - accuracy) * known)
    causes = [int(value_of(page, f"by the {cause}")) for cause in ("map", "channel")]
    assert sum(causes) == wrong
    for cause, count in zip(("map", "channel"), causes, strict=True):
        assert f"{cause}&#x27;s fault ({count})" in page
    assert value_of(page, "fit.epochs") == "80"
    assert re.fullmatch(r"\d+\.\d s, 80 epochs", value_of(page, "training time"))


def test_every_picture_has_an_alt_text_of_its_own(page: str) -> None:
    alts = Page(page).alts
    assert all(alts)
    assert len(set(alts)) == len(alts) > 8


def test_a_page_is_small(page: str) -> None:
    assert len(page) < 3_000_000


@pytest.fixture(scope="module")
def findings(tiny: TinyRun) -> Findings:
    return find(tiny.bundle, read_history(tiny.run), lambda _: None)


def test_another_bundle_than_the_runs_is_said(findings: Findings, page: str) -> None:
    assert "different configurations" not in page
    assert "different configurations" in page_of("run", findings, [], is_same_run=False)
    assert "different configurations" not in page_of("run", findings, [], is_same_run=True)


def test_a_history_of_before_the_usage_is_said_and_no_error(findings: Findings, page: str) -> None:
    assert "did not record it" not in page
    history = [replace(record, usage=(), seconds=0.0) for record in findings.history]
    old = replace(findings, history=history)
    plate = draw_usage(old)
    assert plate.figure is None
    assert "did not record it" in plate.caption
    assert "did not record it" in page_of("run", old, [drawn(plate)], is_same_run=True)
    assert training_time(old) == "not recorded"


def test_one_epoch_is_enough_for_a_picture(findings: Findings) -> None:
    first = replace(findings, history=findings.history[:1])
    assert draw_usage(first).figure is not None
    assert draw_curves(first).figure is not None
    assert draw_curves(replace(findings, history=[])).figure is None


def test_no_error_is_a_sentence(findings: Findings) -> None:
    none = np.array([], dtype=np.int64)
    right = replace(findings, errors=Errors(none, none))
    for draw in (draw_causes, draw_wrong_by_map, draw_wrong_by_channel):
        plate = draw(right)
        assert plate.figure is None
        assert plate.caption.startswith("No ")


def test_wrong_answers_of_every_kind_come_before_the_second_of_any(findings: Findings) -> None:
    everything = np.arange(len(findings.truth))
    order = varied(everything, findings.truth, findings.test)
    assert sorted(order.tolist()) == everything.tolist()
    kinds = list(
        zip(
            findings.truth[order].tolist(),
            np.array(findings.test.predicted)[order].tolist(),
            findings.test.channel[order].tolist(),
            strict=True,
        )
    )
    different = len(set(kinds))
    assert different < len(kinds)
    assert len(set(kinds[:different])) == different


def test_of_many_channels_the_most_used_are_shown(
    findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown_channels(findings) == findings.used
    monkeypatch.setattr("training.report.channels.MOST_CHANNELS", 3)
    shown = shown_channels(findings)
    assert len(shown) == 3
    least = min(row.usage for row in shown)
    assert all(row.usage <= least for row in findings.used if row not in shown)
    assert "The 3 most used of" in draw_channels(findings).caption


def test_terms_that_are_always_zero_are_no_curve() -> None:
    history = [RECORD, replace(RECORD, epoch=1, kl=0.5, usage=(1.0,), seconds=2.0)]
    assert recorded_terms(history) == ("loss", "reconstruction", "kl", "effective_channels")
    assert recorded_terms([]) == ()


def test_usage_of_another_number_of_channels_is_left_out() -> None:
    fits = replace(RECORD, usage=(0.5, 0.5))
    assert usage_records([RECORD, fits, replace(RECORD, usage=(1.0,))], 2) == [fits]


@given(st.integers(1, 60), st.floats(0.001, 0.6), st.integers(0, 2**16))
def test_alarms_begin_above_the_line(size: int, alpha: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Small whole numbers, so that ties occur.
    sample = np.sort(generator.integers(0, 12, size).astype(float))
    scores = np.arange(-1.0, 14.0, 0.5)
    alarms = ConformalSample(sample).p_values(scores) <= alpha
    bound = alarm_above(sample, alpha)
    expected = np.zeros(len(scores), dtype=bool) if bound is None else scores > bound

    np.testing.assert_array_equal(alarms, expected)


@pytest.mark.parametrize(("count", "dimensions"), [(30, 5), (30, 1), (2, 5), (1, 3)])
def test_the_plane_is_that_of_scikit_learn(count: int, dimensions: int) -> None:
    latent = np.random.default_rng(0).normal(size=(count, dimensions)) * (1 + np.arange(dimensions))
    plane = principal_plane(latent)
    assert plane.shape == (count, 2)
    kept = min(2, count, dimensions)
    theirs = PCA(kept).fit_transform(latent) if count > 1 else np.zeros((1, kept))
    np.testing.assert_allclose(np.abs(plane[:, :kept]), np.abs(theirs), atol=1e-9)
    assert not plane[:, kept:].any()


@pytest.mark.parametrize("dimensions", [1, 3])
def test_samples_have_the_moments_of_the_mixture(dimensions: int) -> None:
    generator = np.random.default_rng(1)
    mean = generator.normal(size=(6, dimensions)).astype(np.float32)
    variance = generator.uniform(0.1, 1.0, (6, dimensions)).astype(np.float32)
    drawn = sample_aggregate(mean, variance, 100_000, generator)
    # The mixture itself, sampled: pick one of the six, then draw from it.
    pick = generator.integers(0, 6, 100_000)
    noise = generator.normal(size=(100_000, dimensions))
    theirs = mean[pick] + np.sqrt(variance[pick]) * noise
    np.testing.assert_allclose(drawn.mean(axis=0), theirs.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(theirs.T), atol=0.05)


def test_one_input_is_enough_to_sample_a_channel() -> None:
    drawn = sample_aggregate(
        np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32), 3, np.random.default_rng(0)
    )
    np.testing.assert_allclose(drawn, np.ones((3, 2)), atol=1e-6)


@pytest.mark.parametrize(("channels", "shape"), [(1, (5, 8)), (3, (5, 8, 3))])
def test_a_mosaic_has_a_white_line_between_images(channels: int, shape: tuple[int, ...]) -> None:
    rows = [np.zeros((3, channels, 2, 2)), np.full((3, channels, 2, 2), 0.5)]
    image = mosaic(rows)
    assert image.shape == shape
    assert (image[2] == 1).all()
    assert (image[:, 2] == 1).all()
    assert (image[:2, :2] == 0).all()
    assert (image[3:, 6:] == 0.5).all()


def test_effective_channels_are_those_of_scipy() -> None:
    usage = np.array([0.5, 0.25, 0.25, 0.0])
    assert effective_channels(usage) == pytest.approx(math.exp(entropy(usage)))


def test_differences_name_what_differs_and_the_default() -> None:
    config = tiny_config()
    moved = replace(config, data=replace(config.data, source="/a/b/c.npz"))
    lines = {line.name: line for line in differences(moved, tiny_dataset())}
    assert lines["data.source"].value == "c.npz"
    assert (lines["fit.batch"].value, lines["fit.batch"].remark) == ("64", "default: 128")
    assert lines["data.unlabelled_classes"].value == "[9]"
    assert "seed" not in lines
    assert "augment.rotation" not in lines, "what suits the data is the default"
