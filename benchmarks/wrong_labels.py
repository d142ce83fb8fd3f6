"""Ten thousand wrong labels from one key: what they cost, and what the operator is told.

python -m benchmarks.wrong_labels --models models --json result.json

Real processes on a copy of the models folder: a server with keys, and a watcher. One key posts
labels of unlabelled inputs of known classes, all of them wrong, as fast as the service takes them.
Three kinds: another label drawn evenly, always the next label, a name that nobody has used. Golden
accuracy is that of every version that became current meanwhile, and accuracy on the test inputs of
known classes that of the last one.
"""

import argparse
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.relabel_latency import running
from benchmarks.result import (
    Result,
    add_options,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from rcmvae.bundle import Bundle, list_versions, load_bundle, load_current
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from rcmvae.predictor import Predictor
from service.access.key import new_key
from service.access.key_file import KeyFile, change_keys
from service.access.principal import Scope
from training.config import from_json
from training.data import Dataset, load_dataset, load_source
from training.evaluate import predict_all

LABELS = 10_000
PATIENCE = 900.0
NAME = "never heard of"
_OPEN = (FeedbackStatus.QUEUED, FeedbackStatus.CLAIMED)

Wrong = Callable[[NDArray[np.int64], int, np.random.Generator], NDArray[np.int64]]
"""From labels (n,) to wrong ones among so many; that many itself is a name of its own."""

KINDS: Mapping[str, Wrong] = {
    "drawn evenly": lambda y, count, rng: (y + rng.integers(1, count, y.size)) % count,
    "the next label": lambda y, count, _: (y + 1) % count,
    "a new name": lambda y, count, _: np.full_like(y, count),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A bundle's data: unlabelled inputs of known classes, and their labels.

    Attributes:
        dataset: of the run.
        x: inputs, (n, ...).
        y: index into the dataset's labels, (n,).
    """

    dataset: Dataset
    x: NDArray[np.float32]
    y: NDArray[np.int64]

    @classmethod
    def of(cls, bundle: Bundle) -> "Subject":
        """Of the run that a bundle comes from."""
        config = from_json(bundle.manifest.configuration)
        dataset, source = load_dataset(config.data, config.seed), load_source(config.data.source)
        names = np.array(source.labels)[source.train.y[dataset.split.unlabelled]]
        known = np.isin(names, dataset.labels)
        index = {name: i for i, name in enumerate(dataset.labels)}
        y = np.array([index[name] for name in names[known].tolist()], dtype=np.int64)
        return cls(dataset, dataset.unlabelled[known], y)

    def accuracy(self, bundle: Bundle) -> float:
        """On the test inputs of known classes."""
        truth = np.array(self.dataset.held_labels)[self.dataset.test.y]
        known = np.isin(truth, self.dataset.labels)
        x = self.dataset.test.x[known]
        predicted = np.array(predict_all(Predictor.open(bundle), x).predicted)
        return float((predicted == truth[known]).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wrong_labels", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles")
    parser.add_argument("--labels", type=int, default=LABELS)
    parser.add_argument("--at-once", type=int, default=250, help="labels in one request")
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("wrong_labels", given)
    count = 500 if options.quick else options.labels
    figures: dict[str, float | None] = {}
    for kind, wrong in KINDS.items():
        found = flood(options.models, wrong, count, options.at_once)
        figures |= {f"{kind}: {name}": value for name, value in found.items()}
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=(0,),
        config={
            "labels": count,
            "at_once": options.at_once,
            "bundle": load_current(options.models).version,
        },
        figures=figures_of([figures]),
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def flood(models: Path, wrong: Wrong, count: int, at_once: int) -> dict[str, float | None]:
    """Post wrong labels of one kind, and see what comes of them."""
    before = load_current(models)
    subject, rng = Subject.of(before), np.random.default_rng(0)
    rows = rng.choice(len(subject.y), min(count, len(subject.y)), replace=False)
    names = np.array([*subject.dataset.labels, NAME])
    said = names[wrong(subject.y[rows], len(subject.dataset.labels), rng)].tolist()
    with TemporaryDirectory(prefix="wrong-labels-") as name:
        folder = Path(name)
        shutil.copytree(models, folder / "models")
        presented, key = new_key("mallory", (Scope.FEEDBACK, Scope.LABELS, Scope.PREDICT), None)
        change_keys(folder / "keys.json", lambda _: KeyFile(keys=(key,)))
        environment = {"RCMVAE_KEYS_FILE": str(folder / "keys.json")}
        with running(folder, 1, environment, {"Authorization": f"Bearer {presented}"}) as http:
            start = time.monotonic()
            post(http, subject.x[rows], said, at_once)
            with FeedbackStore.open(f"sqlite:///{folder / 'feedback.db'}") as store:
                settled = wait_until_settled(store)
            seconds = time.monotonic() - start
            told = reasons(http)
        after = load_current(folder / "models")
        versions = [load_bundle(folder / "models" / v) for v in list_versions(folder / "models")]
    lowest = min(bundle.manifest.metrics["golden_accuracy"] for bundle in versions)
    golden = before.manifest.metrics["golden_accuracy"]
    return {
        "golden accuracy before": golden,
        "golden accuracy, change": after.manifest.metrics["golden_accuracy"] - golden,
        "golden accuracy, change, lowest version": lowest - golden,
        "test accuracy of known classes, change": subject.accuracy(after)
        - subject.accuracy(before),
        "seconds until all are settled": seconds,
        "newest set aside that give a reason": told,
        **{status.value: float(settled[status]) for status in FeedbackStatus if settled[status]},
    }


def post(http: httpx.Client, x: NDArray[np.float32], said: Sequence[str], at_once: int) -> None:
    """Post them, so many at once."""
    for start in range(0, len(said), at_once):
        part = slice(start, start + at_once)
        items = [
            {"input": row.tolist(), "label": label}
            for row, label in zip(x[part], said[part], strict=True)
        ]
        http.post("/feedback", json={"items": items}).raise_for_status()


def wait_until_settled(store: FeedbackStore) -> Counter[FeedbackStatus]:
    """Until no label waits; how many stand where."""
    end = time.monotonic() + PATIENCE
    while True:
        counts = store.counts_by_status()
        standing = Counter({status: getattr(counts, status.value) for status in FeedbackStatus})
        if not any(standing[status] for status in _OPEN):
            return standing
        if time.monotonic() > end:
            raise TimeoutError(f"expected all labels to be settled, got {standing}")
        time.sleep(0.2)


def reasons(http: httpx.Client) -> float | None:
    """What an operator sees of the newest that were set aside: printed, and the share with one."""
    items = [
        item
        for status in (FeedbackStatus.QUARANTINED, FeedbackStatus.REJECTED)
        for item in http.get("/feedback", params={"status": status.value}).json()["items"]
    ]
    for reason, count in Counter(item["reason"] for item in items).most_common(3):
        print(f"{count} x {reason}", flush=True)
    return float(np.mean([item["reason"] is not None for item in items])) if items else None


if __name__ == "__main__":
    sys.exit(main())
