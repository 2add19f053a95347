import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data.sampling import spread_frames, train_frames

lengths = st.integers(1, 200)
frame_counts = st.integers(1, 16)


@given(lengths, frame_counts, st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_train_frames_lie_in_the_track_with_one_spacing(length, frames, stride, seed):
    positions, valid = train_frames(np.random.default_rng(seed), length, frames=frames, stride=stride)
    assert positions.shape == valid.shape == (frames,)
    assert positions.min() >= 0
    assert positions.max() < length
    assert valid.sum() == min(frames, length)
    gaps = np.diff(positions[valid])
    assert len(set(gaps.tolist())) <= 1
    assert all(1 <= gap <= stride for gap in gaps)


def test_train_frames_keep_the_stride_when_the_track_is_long_enough():
    positions, valid = train_frames(np.random.default_rng(0), 13, frames=4, stride=4)
    assert positions.tolist() == [0, 4, 8, 12]
    assert valid.all()


def test_train_frames_start_everywhere():
    starts = {
        int(train_frames(np.random.default_rng(seed), 10, frames=3, stride=2)[0][0]) for seed in range(200)
    }
    assert starts == set(range(6))


@given(lengths, frame_counts, st.integers(1, 6))
def test_spread_clips_cover_parts_in_order(length, frames, clips):
    seen = []
    for clip in range(clips):
        positions, valid = spread_frames(length, frames=frames, clip=clip, clips=clips)
        assert positions.min() >= 0
        assert positions.max() < length
        assert valid[0]
        seen += positions[valid].tolist()
    assert seen == sorted(seen)
    if length >= clips * frames:
        assert len(set(seen)) == clips * frames


@given(lengths, frame_counts, st.integers(1, 6), st.integers(1, 5))
def test_a_spacing_brings_the_frames_of_a_clip_together_in_the_middle_of_its_part(
    length, frames, clips, spacing
):
    for clip in range(clips):
        part = length * clip // clips, length * (clip + 1) // clips
        positions, valid = spread_frames(length, frames=frames, clip=clip, clips=clips, spacing=spacing)
        wide, wide_valid = spread_frames(length, frames=frames, clip=clip, clips=clips)
        assert valid.tolist() == wide_valid.tolist()
        seen = positions[valid]
        assert np.diff(seen).max(initial=1) <= spacing
        if len(seen) == frames and part[1] - part[0] > spacing * frames:
            assert set(np.diff(seen).tolist()) <= {spacing}
            assert abs(seen.mean() - (part[0] + part[1] - 1) / 2) <= 1
        else:
            assert positions.tolist() == wide.tolist()


def test_spread_frames_are_symmetric_about_the_middle():
    positions, _ = spread_frames(100, frames=4)
    assert positions.tolist() == [12, 37, 62, 87]
