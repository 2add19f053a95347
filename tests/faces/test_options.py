import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.faces.options import FrameChoice


def test_the_four_ways():
    assert FrameChoice().positions(5).tolist() == [0, 1, 2, 3, 4]
    assert FrameChoice(every=2).positions(5).tolist() == [0, 2, 4]
    assert FrameChoice(count=4).positions(100).tolist() == [12, 37, 62, 87]
    assert FrameChoice(count=2, run=3).positions(100).tolist() == [24, 25, 26, 74, 75, 76]


@given(st.integers(0, 400), st.integers(1, 5), st.integers(1, 40), st.integers(1, 12))
def test_runs_lie_in_the_video_each_frame_once(length, every, count, run):
    positions = FrameChoice(every, count, run).positions(length)
    assert len(positions) <= count * run
    assert (np.diff(positions) >= 1).all()
    if length:
        assert positions[0] >= 0
        assert positions[-1] < length
    if length >= count * (every * (run - 1) + 1):
        assert len(positions) == count * run
        runs = positions.reshape(count, run)
        assert (np.diff(runs, axis=1) == every).all()
        # The first and the last run are equally far from the ends, up to a frame of rounding.
        assert abs(positions[0] - (length - 1 - positions[-1])) <= 1


@pytest.mark.parametrize("options", [{"every": 0}, {"count": -1}, {"run": 0}, {"run": 2}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="frames"):
        FrameChoice(**options)
