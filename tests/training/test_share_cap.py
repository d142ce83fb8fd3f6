"""What one author's labels may weigh."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.label_map import LabelMap
from training.share_cap import ShareCap, capped

CAP = ShareCap(share=0.5, free=3.0)
WHO = st.lists(
    st.tuples(st.sampled_from(["", "ann", "bob", "eve"]), st.integers(0, 1)), max_size=40
)


def map_of(said: list[tuple[str, int]]) -> tuple[LabelMap, dict[str, str]]:
    """Examples of two labels; those without an author come from the fit."""
    rows = np.random.default_rng(1).dirichlet(np.ones(4), len(said))
    ids = tuple(f"{who or 'label'}-{i}" for i, (who, _) in enumerate(said))
    columns = np.array([label for _, label in said], dtype=np.int64)
    authors = {name: who for name, (who, _) in zip(ids, said, strict=True) if who}
    return LabelMap(("a", "b"), rows, columns, ids, 0.05), authors


def weights(label_map: LabelMap, authors: dict[str, str], who: str, label: int) -> list[float]:
    return [
        float(row.sum())
        for row, column, name in zip(
            label_map.contributions, label_map.contribution_labels, label_map.ids, strict=True
        )
        if authors.get(name, "") == who and column == label
    ]


@given(WHO)
def test_nobody_has_more_than_his_share(said: list[tuple[str, int]]) -> None:
    label_map, authors = map_of(said)
    after = capped(label_map, authors, CAP)
    for label in (0, 1):
        total = sum(sum(weights(after, authors, who, label)) for who in ("", "ann", "bob", "eve"))
        for who in ("ann", "bob", "eve"):
            own = weights(after, authors, who, label)
            assert sum(own) <= max(CAP.free, total / 2) + 1e-9
            given_ones = len(own)
            assert sum(own) >= min(given_ones, CAP.free) - 1e-9
            assert own == pytest.approx([sum(own) / max(given_ones, 1)] * given_ones)
        assert weights(after, authors, "", label) == pytest.approx(
            weights(label_map, authors, "", label)
        )


@given(WHO, WHO)
def test_taking_labels_back_leaves_no_trace(
    said: list[tuple[str, int]], more: list[tuple[str, int]]
) -> None:
    label_map, authors = map_of([*said, *more])
    alone, _ = map_of([*said, *more])
    gone = label_map.ids[len(said) :]
    twice = capped(capped(label_map, authors, CAP).withdraw(gone), authors, CAP)
    np.testing.assert_allclose(
        twice.contributions, capped(alone.withdraw(gone), authors, CAP).contributions, atol=1e-12
    )
