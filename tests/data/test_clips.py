"""Which frames make a clip."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data.clips import ClipSpec, choose_clips
from fakedetect_jax.faces import Extraction, FrameChoice

BASE = ClipSpec(Extraction(), frames=8, stride=0.16, interval=5.0, size=224, margin=0.1)


def spec(**changes):
    return dataclasses.replace(BASE, **changes)


def seconds(frames, fps=25.0):
    return (np.arange(frames) / fps).astype(np.float32)


def positions(clips):
    return [clip.positions.tolist() for clip in clips]


@st.composite
def tracks(draw):
    """Rising time stamps of one to four tracks: steady, variable or with gaps."""
    out, start = [], 0.0
    for _ in range(draw(st.integers(1, 4))):
        gaps = draw(st.lists(st.sampled_from([0.016, 0.033, 0.04, 0.2, 1.5]), min_size=0, max_size=120))
        times = start + np.concatenate([[0.0], np.cumsum(gaps)])
        out.append(times.astype(np.float32))
        start = float(times[-1]) + 1
    return out


specs = st.builds(
    spec,
    frames=st.integers(1, 12),
    stride=st.sampled_from([0.04, 0.1, 0.16, 0.5]),
    interval=st.sampled_from([0.16, 1.0, 5.0]),
)


@given(tracks(), specs, st.one_of(st.none(), st.integers(0, 2**32 - 1)))
def test_every_clip_is_a_rising_run_of_one_track(times, spec, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    clips = choose_clips(times, spec, rng=rng)
    assert len(clips) == 1 or rng is None
    assert rng is not None or {clip.track for clip in clips} == set(range(len(times)))
    for track, places, valid in clips:
        length = len(times[track])
        assert places.shape == valid.shape == (spec.frames,)
        assert valid.sum() == min(spec.frames, length)
        assert places.min() >= 0
        assert places.max() < length
        assert (np.diff(places[valid]) >= 1).all()
        # Frames that do not count repeat the last one that does, at the end.
        assert (np.diff(valid.astype(int)) <= 0).all()
        assert (places[~valid] == places[valid][-1]).all()


@given(st.floats(20, 61), st.integers(300, 900), specs, st.integers(0, 2**32 - 1))
def test_frames_are_the_nearest_to_the_stride_at_any_frame_rate(fps, length, spec, seed):
    times = seconds(length, fps)
    (clip,) = choose_clips([times], spec, rng=np.random.default_rng(seed))
    wanted = times[clip.positions[0]] + spec.stride * np.arange(spec.frames)
    if spec.stride < 1 / fps:  # every frame is too far
        assert set(np.diff(clip.positions)) <= {1}
    else:
        assert np.abs(times[clip.positions] - wanted).max() <= 0.5 / fps + 0.1 * spec.stride + 1e-4


def test_the_same_motion_at_25_and_at_50_frames_a_second():
    slow, fast = (choose_clips([seconds(20 * fps, fps)], BASE) for fps in (25, 50))
    assert len(slow) == len(fast) == 4
    for one, other in zip(slow, fast, strict=True):
        assert set(np.diff(one.positions)) == {4}
        assert set(np.diff(other.positions)) == {8}
        assert abs(one.positions[0] / 25 - other.positions[0] / 50) < 0.04


def test_clips_are_spread_evenly_in_the_middle_of_their_shares():
    # 472 places for the first frame, cut in four; 118 / 2 = 59.
    assert [clip.positions[0] for clip in choose_clips([seconds(500)], BASE)] == [59, 177, 295, 413]
    one_second = choose_clips([seconds(24)], spec(frames=4, stride=0.04, interval=0.16))
    assert positions(one_second)[0] == [1, 2, 3, 4]
    assert positions(one_second)[-1] == [19, 20, 21, 22]
    assert len(one_second) == 6


def test_every_shot_has_clips_by_its_length():
    shots = [seconds(500), seconds(50) + 20, seconds(250) + 22]
    tracks = [clip.track for clip in choose_clips(shots, BASE)]
    assert tracks == [0, 0, 0, 0, 1, 2, 2]


def test_a_drawn_clip_starts_anywhere_as_likely():
    shots = [seconds(10), seconds(4) + 9]
    which = spec(frames=3, stride=0.08)  # 6 places in the first, in the second one: too short for the stride
    starts = [choose_clips(shots, which, rng=np.random.default_rng(seed))[0] for seed in range(1400)]
    counts = np.bincount([clip.positions[0] + 6 * clip.track for clip in starts], minlength=7)
    assert len(counts) == 7
    # Each of the seven is drawn 200 times on average, with a standard deviation of 13.
    assert 145 < counts.min() <= counts.max() < 255


def test_a_short_track_is_sampled_more_densely_and_a_shorter_one_padded():
    assert positions(choose_clips([seconds(24)], BASE)) == [[0, 3, 7, 10, 13, 16, 20, 23]]
    ((_, places, valid),) = choose_clips([seconds(3)], BASE)
    assert places.tolist() == [0, 1, 2, 2, 2, 2, 2, 2]
    assert valid.sum() == 3


def test_sparsely_kept_frames_follow_each_other():
    every_second = choose_clips([np.arange(40, dtype=np.float32)], BASE)
    assert len(every_second) == 8
    assert all(set(np.diff(clip.positions)) == {1} for clip in every_second)


def test_dense_runs_are_not_crossed_while_they_are_long_enough():
    runs = np.concatenate([seconds(16) + 10 * number for number in range(4)])
    of_runs = spec(frames=4, stride=0.04, interval=0.5)
    drawn = [choose_clips([runs], of_runs, rng=np.random.default_rng(seed))[0] for seed in range(100)]
    spread = choose_clips([runs], of_runs)
    assert len({clip.positions[0] // 16 for clip in spread}) == 4
    for clip in (*spread, *drawn):
        assert np.ptp(runs[clip.positions]) == pytest.approx(0.12, abs=1e-4)


@pytest.mark.parametrize(
    ("frames", "stride", "longest"),
    [
        (FrameChoice(), 0.04, 0.12),
        (FrameChoice(), 0.16, 0.48),
        (FrameChoice(every=5), 0.04, 0.6),
        (FrameChoice(every=2, count=3, run=4), 0.04, 0.24),
        (FrameChoice(count=3), 0.04, np.inf),
    ],
)
def test_frames_far_apart_show_another_motion_than_training_saw(frames, stride, longest):
    assert spec(extraction=Extraction(frames=frames), stride=stride).longest_step == pytest.approx(longest)


def test_a_spec_survives_json():
    other = spec(extraction=Extraction(size=320, margin=0.5, frames=FrameChoice(2, 8, 16), face_crops=True))
    assert ClipSpec.parse(json.loads(json.dumps(dataclasses.asdict(other)))) == other


@pytest.mark.parametrize(
    ("extraction", "flags"),
    [
        (Extraction(), ""),
        (Extraction(frames=FrameChoice(every=5)), "--every 5"),
        (
            Extraction(frames=FrameChoice(2, 8, 16), size=320, detect_every=4),
            "--every 2 --count 8 --run-length 16 --size 320 --detect-every 4",
        ),
        (Extraction(margin=0.5, quality=80, face_crops=True), "--margin 0.5 --quality 80 --face-crops"),
    ],
)
def test_an_extraction_says_the_build_options_that_give_it(extraction, flags):
    from fakedetect_jax.cli.build import make_extraction
    from fakedetect_jax.cli.main import make_parser

    assert extraction.flags == flags
    assert make_extraction(make_parser().parse_args(["build", "video_folder", *flags.split()])) == extraction
