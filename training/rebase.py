"""What a refit has trained, put on what was promoted while it trained.

A refit takes minutes, and relabels go on beside it. Its weights are kept; its label map is made to
hold exactly the corrections of the bundle that is current when it ends, and those that the refit
brings itself. No torch, no training: it takes as long as a relabel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rcmvae.bundle import Bundle, BundleDraft, Lineage
from rcmvae.bundle.manifest import ENCODER
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleConflict
from rcmvae.feedback import ANONYMOUS, FeedbackStore
from rcmvae.label_map import is_label_id
from training.draft import FITTED_ACCURACY, FITTED_RECALL
from training.relabel import Correction, changed_map, remapped
from training.share_cap import ShareCap


@dataclass(frozen=True, slots=True)
class Trained:
    """A refit after its last step.

    Attributes:
        start: the bundle whose weights it went on from.
        bundle: what it made, not yet written.
    """

    start: Bundle
    bundle: Bundle


def rebased(
    trained: Trained,
    current: Bundle,
    brought: Sequence[Correction],
    gone: Sequence[str],
    store: FeedbackStore,
    cap: ShareCap | None,
) -> BundleDraft:
    """The refit's draft as a child of the bundle that is current now.

    Args:
        trained: the refit.
        current: the bundle that is current now.
        brought: corrections that no bundle holds yet.
        gone: feedback ids that they replace.
        store: has the inputs of what was applied meanwhile.
        cap: what one author's labels may weigh; None for no cap.

    Raises:
        BundleConflict: the current bundle stands on other weights than the refit went on from.
        NoFreeChannel: a label that came meanwhile finds no channel in what was trained.
    """
    if _weights(current) != _weights(trained.start):
        raise BundleConflict(
            f"the refit went on from the weights of {trained.start.version}, "
            f"those of {current.version} are others: it has to be trained anew"
        )
    has = set(_feedback(trained.bundle))
    held = _feedback(current)
    kept = {name: label for name, label in held.items() if name not in set(gone)}
    authors = store.authors()
    late = _late({name: label for name, label in kept.items() if name not in has}, store, authors)
    new = [c for c in brought if c.feedback_id not in has]
    wanted = {*(has & kept.keys()), *(c.feedback_id for c in (*late, *brought))}
    lineage = Lineage(
        method="refit",
        parent_version=current.version,
        feedback_ids=tuple(c.feedback_id for c in brought if c.feedback_id not in held),
        withdrawn_ids=tuple(sorted(held.keys() - wanted)),
        data_sha256=trained.bundle.manifest.lineage.data_sha256,
    )
    label_map = changed_map(trained.bundle, [*late, *new], sorted(has - wanted), authors, cap)
    return remapped(trained.bundle, label_map, lineage, _metrics(trained.bundle))


def _feedback(bundle: Bundle) -> dict[str, str]:
    """Labels of the feedback that a bundle holds, by id, in its order."""
    label_map = read_label_map(bundle)
    names = zip(label_map.ids, label_map.contribution_labels.tolist(), strict=True)
    return {name: label_map.labels[y] for name, y in names if not is_label_id(name)}


def _late(
    labels: Mapping[str, str], store: FeedbackStore, authors: Mapping[str, str]
) -> list[Correction]:
    """What came during the training; what the store does not know any more is left out."""
    inputs = store.labelled_inputs(labels)
    return [
        Correction(name, label, inputs[name], authors.get(name, ANONYMOUS))
        for name, label in labels.items()
        if name in inputs
    ]


def _weights(bundle: Bundle) -> str:
    """Says which network a bundle stands on."""
    return bundle.manifest.files[ENCODER].sha256


def _metrics(bundle: Bundle) -> dict[str, float]:
    """Figures of the fit itself; those of the label map are taken anew."""
    return {
        name: value
        for name, value in bundle.manifest.metrics.items()
        if not name.startswith(FITTED_RECALL) and name != FITTED_ACCURACY
    }
