"""Labels that the evidence of everybody else contradicts, and sources that give many of them.

A label is judged by the label map without anything that its own author said, so that nobody can
argue for his own labels. How contradicted an honest label may look is known from the labels that
the fit used, each left out, and from the golden set. An author may contradict the others now and
then, as who corrects mistakes does; what goes beyond is set aside for a person, with the reason.
docs/decisions/0021 has the rates.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import DECODER, ENCODER, GOLDEN, SCORES
from rcmvae.counts import read_label_map
from rcmvae.feedback import FeedbackStore
from rcmvae.label_map import LabelMap, is_label_id
from training.data import NO_LABEL
from training.encode import encode, session_of, softmax
from training.golden_run import golden_run
from training.golden_set import read_golden
from training.relabel import Correction

CONTRADICTED, SOURCE = "contradicted: ", "source: "
"""How the two reasons begin: others contradict the label; they contradict most of its author's."""

_HALF = 1.0
"""Evidence of other labels, in examples, that is half of what can be: one example alone never
contradicts."""

_MOSTLY = 0.5
"""A score below this is never a contradiction: more agrees with the label, or nothing is known."""


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """What one author may contradict.

    Attributes:
        level: share of honest labels that count as contradicted.
        allowance: contradicted labels that an author may have in the map at any rate.
        tolerance: and as a share of his other labels.
        distrust: share of contradicted labels above which all that he says is set aside.
        distrust_from: labels of his that have to be judged before that.
    """

    level: float = 0.05
    allowance: int = 3
    tolerance: float = 0.05
    distrust: float = 0.5
    distrust_from: int = 20


@dataclass(frozen=True, slots=True)
class SetAside:
    """Labels of one author that were ever set aside, but for those that a person accepted.

    Many small batches must do no more than a large one, and taking back does not undo having said.

    Attributes:
        contradicted: as others contradict them.
        others: as he was distrusted, though nobody contradicts them.
    """

    contradicted: int = 0
    others: int = 0

    @classmethod
    def of(cls, store: FeedbackStore, author: str, accepted: Collection[str]) -> "SetAside":
        """From the history in the store."""
        found = (store.set_aside(author, reason) for reason in (CONTRADICTED, SOURCE))
        return cls(*(len(ids.difference(accepted)) for ids in found))


@dataclass(frozen=True, slots=True)
class _Honest:
    """Labelled inputs that nobody doubts: examples of the fit, and golden inputs.

    Attributes:
        responsibilities: (n, K).
        label: index into the map's labels, (n,).
        own: what each adds to the map itself, zero for golden inputs, (n, K).
    """

    responsibilities: NDArray[np.float64]
    label: NDArray[np.int64]
    own: NDArray[np.float64]


def doubted(
    parent: Bundle,
    corrections: Sequence[Correction],
    authors: Mapping[str, str],
    accepted: Collection[str],
    config: GuardConfig,
    earlier: Callable[[str], SetAside] = lambda _: SetAside(),
) -> dict[str, str]:
    """Corrections that a person has to look at first, by id, with the reason.

    Args:
        parent: whose label map is asked.
        corrections: inputs have the signature's shape.
        authors: of the feedback that the map holds, by id.
        accepted: ids that a person has looked at already; they are never doubted.
        config: see there.
        earlier: what of an author was set aside before.
    """
    judged = [c for c in corrections if c.feedback_id not in accepted]
    if not judged:
        return {}
    x = np.stack([correction.input for correction in judged])
    responsibilities = encode(session_of(parent.read(ENCODER)), x).responsibilities()
    label_map, reasons = read_label_map(parent), dict[str, str]()
    honest = _honest(parent, label_map)
    by_author = np.array([correction.author for correction in judged])
    for author in np.unique(by_author).tolist():
        rows = np.flatnonzero(by_author == author)
        mine = [judged[row] for row in rows]
        before = [
            i
            for i, name in enumerate(label_map.ids)
            if authors.get(name) == author and name not in accepted
        ]
        case = _Case.of(label_map, honest, before, earlier(author), config.level)
        reasons |= _case_reasons(case, mine, responsibilities[rows], config)
    return reasons


def contradiction(
    responsibilities: NDArray[np.float64], counts: NDArray[np.float64], label: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Share of each input that solid evidence of other labels holds, (n,), within [0, 1).

    sum_k r_k (s_k - s_{k,y}) / (s_k + 1).

    Args:
        responsibilities: r, (n, K).
        counts: s, (K, C).
        label: y, (n,); C for a label that the map does not know.
    """
    total = counts.sum(axis=1)
    known = np.column_stack([counts, np.zeros(len(counts))])
    others = np.maximum(total[:, None] - known, 0.0) / (total[:, None] + _HALF)
    return np.asarray((responsibilities * others.T[label]).sum(axis=1))


@dataclass(frozen=True, slots=True)
class _Case:
    """One author against the evidence of all others.

    Attributes:
        labels: names of the map.
        counts: s without the author, (K, C).
        threshold: score from which a label is contradicted.
        given: labels of his that the map holds or that were set aside, and no person accepted.
        contradicted: how many of those are contradicted.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.float64]
    threshold: float
    given: int
    contradicted: int

    @classmethod
    def of(
        cls,
        label_map: LabelMap,
        honest: _Honest,
        before: Sequence[int],
        aside: SetAside,
        level: float,
    ) -> "_Case":
        own, label = label_map.contributions[before], label_map.contribution_labels[before]
        onehot = np.eye(len(label_map.labels))[label]
        counts = np.maximum(label_map.counts - own.T @ onehot, 0.0)
        threshold = _threshold(_left_out(honest, counts), level)
        r = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-12)
        bad = contradiction(r, counts, label) >= threshold
        given = len(before) + aside.contradicted + aside.others
        contradicted = int(bad.sum()) + aside.contradicted
        return cls(label_map.labels, counts, threshold, given, contradicted)


def _left_out(honest: _Honest, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of honest labels, those of the map each without itself, (n,)."""
    scores = np.empty(len(honest.label))
    in_map = honest.own.any(axis=1)
    scores[~in_map] = contradiction(honest.responsibilities[~in_map], counts, honest.label[~in_map])
    for i in np.flatnonzero(in_map):
        without = counts.copy()
        without[:, honest.label[i]] = np.maximum(without[:, honest.label[i]] - honest.own[i], 0.0)
        row = slice(i, i + 1)
        scores[row] = contradiction(honest.responsibilities[row], without, honest.label[row])
    return scores


def _threshold(honest: NDArray[np.float64], level: float) -> float:
    """The smallest score whose conformal p-value (1 + #{honest >= s}) / (n + 1) is within level.

    Above one, which no score reaches, where there are too few honest labels to tell.
    """
    most = int(np.floor(level * (len(honest) + 1))) - 1
    if most < 0:
        return 2.0
    return max(_MOSTLY, float(np.nextafter(np.sort(honest)[::-1][most], 2.0)))


def _honest(parent: Bundle, label_map: LabelMap) -> _Honest:
    fitted = np.array([is_label_id(name) for name in label_map.ids], dtype=bool)
    own = label_map.contributions[fitted]
    golden = read_golden(parent.read(GOLDEN)).examples.y
    known = golden != NO_LABEL
    run = golden_run(*(parent.read(name) for name in (ENCODER, DECODER, SCORES, GOLDEN)))
    seen = softmax(run.logits[known])
    return _Honest(
        np.concatenate([own, seen]),
        np.concatenate([label_map.contribution_labels[fitted], golden[known]]),
        np.concatenate([own, np.zeros_like(seen)]),
    )


def _case_reasons(
    case: _Case,
    mine: Sequence[Correction],
    responsibilities: NDArray[np.float64],
    config: GuardConfig,
) -> dict[str, str]:
    names = {name: i for i, name in enumerate(case.labels)}
    label = np.array([names.get(c.label, len(names)) for c in mine], dtype=np.int64)
    bad = contradiction(responsibilities, case.counts, label) >= case.threshold
    total, contradicted = case.given + len(mine), case.contradicted + int(bad.sum())
    allowed = max(config.allowance, int(config.tolerance * (total - contradicted)))
    if contradicted <= allowed:
        return {}
    told = f"{contradicted} of {total} labels of {mine[0].author!r} are contradicted by others"
    says = [case.labels[y] for y in (responsibilities @ case.counts).argmax(axis=1).tolist()]
    if total >= config.distrust_from and contradicted > config.distrust * total:
        # Not with his label: a name of its own for every input would be as many reasons.
        rule = f"{told}; all of it waits for a person"
        return {
            c.feedback_id: f"{CONTRADICTED}others label this region {other!r}; {rule}"
            if is_bad
            else f"{SOURCE}{rule}"
            for c, other, is_bad in zip(mine, says, bad.tolist(), strict=True)
        }
    beyond = np.flatnonzero(bad)[max(0, allowed - case.contradicted) :].tolist()
    return {
        mine[i].feedback_id: f"{CONTRADICTED}others label this region {says[i]!r}, "
        f"not {mine[i].label!r}; {told}, at most {allowed} pass without a person"
        for i in beyond
    }


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Ids for every reason."""
    groups = {reason: list[str]() for reason in Counter(reasons.values())}
    for name, reason in reasons.items():
        groups[reason].append(name)
    return groups
