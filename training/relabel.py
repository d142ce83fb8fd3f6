"""Relabel: corrections become counts, and counts become a new label map. No torch, no training."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, BundleDraft, Lineage
from rcmvae.bundle.manifest import CALIBRATION, ENCODER, GOLDEN
from rcmvae.calibration import parse_calibration
from rcmvae.counts import read_label_map
from rcmvae.feedback import ANONYMOUS, FeedbackRecord
from rcmvae.label_map import LabelMap, claim_channels, free_channels
from training.config import from_json
from training.data import NO_LABEL
from training.draft import FITTED_ACCURACY, FITTED_RECALL, foundation_of, write_draft
from training.encode import encode, session_of
from training.golden_set import read_golden
from training.share_cap import ShareCap, capped

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Correction:
    """A labelled input on its way into the label map.

    Attributes:
        feedback_id: where it comes from.
        label: its name.
        input: float32, of the signature's shape.
        author: who said it.
    """

    feedback_id: str
    label: str
    input: NDArray[np.float32]
    author: str = ANONYMOUS


def correction_of(record: FeedbackRecord) -> Correction:
    """The part of a feedback record that a label map needs."""
    return Correction(record.feedback_id, record.label, record.input, record.author)


def relabel(
    parent: Bundle,
    corrections: Sequence[Correction],
    withdrawn: Sequence[str] = (),
    authors: Mapping[str, str] | None = None,
    cap: ShareCap | None = None,
) -> BundleDraft:
    """Add corrections to the parent's label map, take others out of it, and calibrate anew.

    Args:
        parent: the bundle to start from.
        corrections: inputs have the signature's shape.
        withdrawn: feedback ids; those that are not in the map are ignored.
        authors: of the feedback that the parent's map holds, by id.
        cap: what one author's labels may weigh; None for no cap.

    Raises:
        NoFreeChannel: a new label found no channel to claim.
    """
    lineage = Lineage(
        method="relabel",
        parent_version=parent.version,
        feedback_ids=tuple(correction.feedback_id for correction in corrections),
        withdrawn_ids=tuple(withdrawn),
        data_sha256=parent.manifest.lineage.data_sha256,
    )
    label_map = changed_map(parent, corrections, withdrawn, authors, cap)
    return remapped(parent, label_map, lineage, _inherited_metrics(parent))


def changed_map(
    parent: Bundle,
    corrections: Sequence[Correction],
    withdrawn: Sequence[str],
    authors: Mapping[str, str] | None,
    cap: ShareCap | None,
) -> LabelMap:
    """The label map of a relabel; see there."""
    label_map = _without(parent, withdrawn)
    if corrections:
        x = np.stack([correction.input for correction in corrections])
        responsibilities = encode(session_of(parent.read(ENCODER)), x).responsibilities()
        free_mass = parse_calibration(parent.read(CALIBRATION)).free_mass
        label_map = add_corrections(label_map, corrections, responsibilities, free_mass)
    if cap is not None:
        everybody = {**(authors or {}), **{c.feedback_id: c.author for c in corrections}}
        label_map = capped(label_map, everybody, cap)
    return label_map


def remapped(
    parent: Bundle, label_map: LabelMap, lineage: Lineage, metrics: Mapping[str, float]
) -> BundleDraft:
    """Another label map on a bundle's foundation."""
    temperature = parse_calibration(parent.read(CALIBRATION)).temperature
    config = from_json(parent.manifest.configuration).calibration
    return write_draft(foundation_of(parent, temperature), label_map, config, lineage, metrics)


def _without(parent: Bundle, withdrawn: Sequence[str]) -> LabelMap:
    """The parent's label map without some examples.

    A label that came with feedback goes with its last example; those of the golden set stay.
    """
    before = read_label_map(parent)
    after = before.withdraw(withdrawn)
    golden = read_golden(parent.read(GOLDEN)).examples.y
    first = int(golden.max(initial=NO_LABEL)) + 1
    had, has = set(before.contribution_labels), set(after.contribution_labels)
    emptied = {i for i in had - has if i >= first}
    return after.without_labels({before.labels[i] for i in emptied}) if emptied else after


def labels_without_channel(parent: Bundle, corrections: Sequence[Correction]) -> frozenset[str]:
    """Labels that are new to the parent's map and more than it has free channels for.

    Those that came first get the channels.
    """
    label_map = read_label_map(parent)
    free_mass = parse_calibration(parent.read(CALIBRATION)).free_mass
    room = int(free_channels(label_map, free_mass).sum())
    named = dict.fromkeys(correction.label for correction in corrections)
    new = [label for label in named if label not in label_map.labels]
    return frozenset(new[room:])


def add_corrections(
    label_map: LabelMap,
    corrections: Sequence[Correction],
    responsibilities: NDArray[np.float64],
    free_mass: float,
) -> LabelMap:
    """Add corrections to a map; a label that is new to it first claims free channels.

    A claim asks whether the new label finds a channel that no label speaks for. Its examples then
    count wherever they lie: restricted to the claimed channels, they taught a new class 80 %
    instead of 92 %, and spared the old ones nothing (docs/decisions/0004-ownership.md).

    Args:
        label_map: the map before.
        corrections: m of them.
        responsibilities: r of their inputs at temperature one, (m, K).
        free_mass: see ``free_channels``.

    Raises:
        NoFreeChannel: a new label found no channel to claim.
    """
    names = [correction.label for correction in corrections]
    extended = label_map
    for name in dict.fromkeys(names):
        if name not in extended.labels:
            own = np.array([other == name for other in names])
            claimed = claim_channels(label_map, responsibilities[own], free_mass)
            logger.info("label %r claims channels %s", name, claimed.tolist())
            extended = extended.with_label(name)
    return extended.add(responsibilities, names, [c.feedback_id for c in corrections])


def _inherited_metrics(parent: Bundle) -> dict[str, float]:
    """Figures of the foundation, which a relabel does not change."""
    metrics = parent.manifest.metrics
    return {
        name: value
        for name, value in metrics.items()
        if name.startswith(("parity_", FITTED_RECALL)) or name == FITTED_ACCURACY
    }
