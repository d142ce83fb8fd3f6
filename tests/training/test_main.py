"""The command line, and the report that it writes."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rcmvae.bundle import list_versions, load_current, read_pointer
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from tests.training.tiny import (
    SETTINGS,
    TinyRun,
    corrections,
    everything_wrong,
    post,
    run_main,
    set_flags,
)
from training.__main__ import main
from training.report import PICTURES

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail with 1 and one line; return what it said."""
    capsys.readouterr()
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = [line for line in said.err.splitlines() if line.startswith("training: ")]
    assert "Traceback" not in said.err
    return line


def test_train_says_what_it_did_and_leaves_the_run(tiny: TinyRun) -> None:
    assert tiny.trained == f"trained 80 epochs: {tiny.run.path}\n"
    names = {path.name for path in tiny.run.path.iterdir()} - {"report.html"}
    assert names == {
        "config.json",
        "checkpoint.safetensors",
        "history.json",
        "split.safetensors",
    }


def test_train_takes_its_flags(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[model]\nfilters = 4\nfeatures = 16\n")
    run_main(
        *("train", str(tmp_path / "run"), "--config", str(tmp_path / "run.toml"), "--quiet"),
        *("--data", "digits", "--labels", "16", "--seed", "3"),
        *("--unlabelled-class", "8", "--unlabelled-class", "9"),
        *set_flags(["data.limit=300", "fit.epochs=1", "fit.threads=1"]),
    )
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["seed"] == 3
    assert config["model"]["filters"] == 4
    assert config["data"] | {"labels": 16, "unlabelled_classes": ["8", "9"]} == config["data"]


def test_export_says_the_version_and_the_figures(tiny: TinyRun) -> None:
    first, *figures = tiny.exported.splitlines()
    assert first == f"published {read_pointer(tiny.models)}"
    shown = {line.split()[0]: float(line.split()[1]) for line in figures}
    metrics = load_current(tiny.models).manifest.metrics
    assert shown == pytest.approx(metrics, rel=1e-4)


def test_prune_keeps_the_newest(models: Path, store_url: str, store: FeedbackStore) -> None:
    first = read_pointer(models)
    for digit in (3, 4):
        post(store, corrections(digit, 1))
        run_main("retrain", "--models", str(models), "--store", store_url)
    assert run_main("prune", "--models", str(models), "--keep", "2") == f"removed {first}\n"
    assert len(list_versions(models)) == 2


def test_models_and_store_are_where_the_service_looks(
    models: Path, store_url: str, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RCMVAE_MODELS_DIR", str(models))
    monkeypatch.setenv("RCMVAE_STORE_URL", store_url)
    post(store, corrections(4, 1))
    assert json.loads(run_main("retrain"))["counts"]["applied"] == 1


def test_export_does_not_take_corrections_back_unasked(
    tiny: TinyRun,
    models: Path,
    store_url: str,
    store: FeedbackStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    post(store, corrections(3, 3))
    run_main("retrain", "--models", str(models), "--store", store_url)
    corrected = read_pointer(models)
    export = ("export", str(tiny.run.path), "--models", str(models))
    line = fails(capsys, *export)
    assert line.startswith("training: InvalidInput: --drop-corrections: expected the flag")
    assert line.endswith("got no flag and 3 corrections")
    assert read_pointer(models) == corrected
    run_main(*export, "--drop-corrections")
    assert load_current(models).manifest.lineage.parent_version == corrected


def test_a_folder_that_is_not_ours_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    line = fails(capsys, "train", str(tmp_path / "file" / "run"), "--quiet")
    assert line.startswith("training: NotADirectoryError: ")


def test_evaluate_prints_every_figure(tiny: TinyRun) -> None:
    version = read_pointer(tiny.models) or ""
    by_default = run_main("evaluate", "--models", str(tiny.models))
    named = run_main("evaluate", "--models", str(tiny.models), "--version", version)
    assert by_default == named
    assert by_default.startswith(f"bundle {version}\n")
    for name in ("accuracy", "unlabelled_as_unknown", "noise_detected", "coverage"):
        assert re.search(rf"^  {name} +[0-9.]+$", by_default, re.MULTILINE)
    other = run_main("evaluate", "--models", str(tiny.models), "--alpha", "0.2")
    assert re.search(r"^  alpha +0\.2$", other, re.MULTILINE)


@pytest.mark.parametrize("alpha", ["0", "1", "-1", "nan"])
def test_evaluate_refuses_an_alpha_that_is_no_rate(
    tiny: TinyRun, capsys: pytest.CaptureFixture[str], alpha: str
) -> None:
    line = fails(capsys, "evaluate", "--models", str(tiny.models), f"--alpha={alpha}")
    assert line.startswith("training: InvalidInput: --alpha: expected a rate between 0 and 1")


def test_retrain_prints_what_it_did(models: Path, store_url: str, store: FeedbackStore) -> None:
    command = ("retrain", "--models", str(models), "--store", store_url)
    nothing = json.loads(run_main(*command))
    assert (nothing["state"], nothing["message"]) == ("done", "no feedback waits")
    post(store, corrections(3, 3))
    said = json.loads(run_main(*command, "--method", "relabel"))
    assert said["counts"]["applied"] == 3
    assert (said["method"], said["version"]) == ("relabel", read_pointer(models))
    assert said["progress"] == 1.0


def test_a_retrain_that_fails_is_said(
    models: Path,
    store_url: str,
    store: FeedbackStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("training.promotion.stage_bundle", full_disk)
    post(store, corrections(3, 1))
    line = fails(capsys, "retrain", "--models", str(models), "--store", store_url)
    assert line.startswith("training: JobFailed: OSError: no space left on device")
    assert store.counts_by_status().queued == 1


def test_retrain_rejects_what_the_gate_refused(
    models: Path, store_url: str, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.settling.MOST_REFUSALS", 0)
    ids = post(store, everything_wrong())
    arguments = ("--models", str(models), "--store", store_url, "--no-guard")
    said = json.loads(run_main("retrain", *arguments))
    assert said["counts"]["rejected"] == len(ids)
    assert said["gate"]["outcome"] == "reject"
    record = store.get(ids[0])
    assert record.status is FeedbackStatus.REJECTED
    assert (record.reason or "").startswith("gate: golden accuracy: expected at least")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{}/r", "--set", "fit.epoch=3"], "InvalidInput: fit.epoch: "),
        (["train", "{}/r", "--set", "nope=1"], "InvalidInput: nope: expected a field of"),
        (["train", "{}/r", "--seed", "2147483648"], "InvalidInput: seed: expected less than"),
        (["prune", "--models", "{}", "--keep", "0"], "InvalidInput: --keep: expected at least 1"),
        (["train", "{}/r", "--data", "{}/none"], "DataError: data source: expected one of"),
        (["train", "{}/r", "--labels", "3"], "DataError: labels: expected 0, or at least one"),
        (["train", "{}/r", "--config", "{}/none.toml"], "InvalidInput: config: "),
        (["export", "{}/none", "--models", "{}/m"], "DataError: none: expected a run"),
        (["evaluate", "--models", "{}/none"], "BundleNotFound: "),
        (["evaluate", "--models", "{}", "--version", "v1"], "BundleNotFound: "),
        (["report", "{}/none", "--models", "{}/none"], "BundleNotFound: "),
        (
            ["retrain", "--poll", "0"],
            "InvalidInput: --poll: expected more than 0, at most 1e+08, got 0",
        ),
        (["retrain", "--lease", "nan"], "InvalidInput: --lease: expected more than 0"),
        (["retrain", "--lease", "inf"], "InvalidInput: --lease: expected more than 0, at most"),
        (["retrain", "--refit-hours", "inf"], "InvalidInput: --refit-hours: expected 0 to"),
        (
            ["retrain", "--refit-hours", "-1"],
            "InvalidInput: --refit-hours: expected 0 to 1e+08, got -1",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    filled = [argument.format(tmp_path) for argument in arguments]
    assert fails(capsys, *filled).startswith(f"training: {message}")
    assert not (tmp_path / "r").exists(), "nothing is left behind"


def test_train_refuses_to_mix_two_configurations(
    tiny: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tiny.run.path)
    line = fails(capsys, "train", run, "--quiet", *set_flags([*SETTINGS, "seed=4"]))
    assert "InvalidInput: run: expected the configuration the folder holds" in line


def test_train_of_a_finished_run_changes_nothing(tiny: TinyRun) -> None:
    before = tiny.run.checkpoint.read_bytes(), tiny.run.history.read_bytes()
    run_main("train", str(tiny.run.path), "--quiet", *set_flags(SETTINGS))
    assert (tiny.run.checkpoint.read_bytes(), tiny.run.history.read_bytes()) == before


def test_divergence_fails_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absurd = set_flags([*SETTINGS, "fit.peak_lr=1e30", "fit.epochs=3"])
    line = fails(capsys, "train", str(tmp_path / "r"), "--quiet", *absurd)
    assert line.startswith("training: Diverged: epoch ")


def test_report_of_a_run_without_history_is_refused(
    tiny: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(capsys, "report", str(tmp_path), "--models", str(tiny.models))
    assert "DataError" in line
    assert "expected the history of a run" in line


class Links(HTMLParser):
    """Everything a browser would fetch, and the pictures' captions."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.captions: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href", "data", "srcset", "action"}:
                self.targets.append(value or "")
            if name == "alt":
                self.captions.append(value or "")


def test_report_is_one_page_with_every_picture_and_no_network(
    tiny: TinyRun, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    command = ("report", str(tiny.run.path), "--models", str(tiny.models))
    said = run_main(*command, "--pictures", str(pictures))
    assert said == f"{tiny.run.report}\n"
    page = tiny.run.report.read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    files = sorted(path.name for path in pictures.iterdir())
    names = [draw.__name__.removeprefix("draw_") for draw in PICTURES]
    # A page of a run without any wrong answer has fewer.
    assert {f"{name}.png" for name in names if "wrong" not in name} <= set(files)
    assert set(files) <= {f"{name}.png" for name in names}
    assert len(links.captions) == len(files)
    shown = [target for target in links.targets if not target.startswith("#")]
    assert len(shown) == len(files)
    assert all(target.startswith("data:image/png;base64,") for target in shown)
    for name in names:
        assert f'<section id="{name}">' in page
        assert f"#{name}" in links.targets
    outside = re.sub(r"base64,[^\"]*", "", page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|<link", outside)
    assert str(tiny.path) not in page
    assert read_pointer(tiny.models) is not None
    for name in ("accuracy", "noise_detected"):
        assert f"<td>{name}</td>" in page
    assert all(path.read_bytes().startswith(PNG) for path in pictures.iterdir())


def test_nothing_was_published_beside_the_tiny_bundle(tiny: TinyRun) -> None:
    assert len(list_versions(tiny.models)) == 1


@pytest.mark.parametrize("arguments", [[], ["fly"], ["train"], ["retrain", "--method", "guess"]])
def test_a_wrong_command_line_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m training" in capsys.readouterr().err


def test_help_names_every_command_and_loads_no_torch() -> None:
    program = (
        "import sys; from training.__main__ import _parser; "
        "print(_parser().format_help()); assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for command in ("train", "export", "evaluate", "retrain", "report"):
        assert f"    {command} " in done.stdout
