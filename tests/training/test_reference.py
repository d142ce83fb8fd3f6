"""Which training inputs become reference points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.reference import SMALLEST_SHARE, stratified


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=400),
    st.integers(1, 300),
)
def test_every_channel_is_seen_and_every_label_kept(channels: list[int], count: int) -> None:
    channel = np.array(channels, dtype=np.int64)
    labelled = np.random.default_rng(len(channels)).random(len(channel)) < 0.1
    row = stratified(channel, labelled, count)
    assert (np.diff(row) > 0).all()
    assert set(np.flatnonzero(labelled)) <= set(row.tolist())
    for k in np.unique(channel):
        own = int((channel == k).sum())
        kept = int((channel[row] == k).sum())
        assert kept >= min(own, SMALLEST_SHARE)
        share = max(round(count * own / len(channel)), SMALLEST_SHARE)
        assert kept <= share + int(labelled[channel == k].sum())


def test_the_sample_is_proportional_where_no_channel_is_rare() -> None:
    channel = np.repeat(np.arange(2), [3000, 1000])
    row = stratified(channel, np.zeros(4000, dtype=bool), 400)
    assert np.bincount(channel[row]).tolist() == [300, 100]
