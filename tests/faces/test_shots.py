import cv2
import numpy as np
import pytest

from fakedetect_jax.faces.tracking import ShotDetector


def cuts(frames):
    shots = ShotDetector()
    return [i for i, frame in enumerate(frames) if shots.is_cut(frame)]


def test_a_cut_is_found_where_it_is(man, woman):
    other = cv2.resize(woman, (320, 180))
    assert cuts([*man[:6], other, other, *man[6:10]]) == [6, 8]


def test_a_change_of_frame_size_is_a_cut(man):
    assert cuts([*man[:2], *[f[:100] for f in man[2:4]]]) == [2]


def test_a_still_scene_with_a_moving_face_has_none(man):
    assert cuts(man) == []
    assert cuts(man[::6]) == []


@pytest.mark.parametrize("step", [4, 12])
def test_a_panning_camera_has_none(woman, step):
    wide = cv2.resize(woman, (512, 512))
    assert cuts([wide[100:280, x : x + 320] for x in range(0, 180, step)]) == []


def test_a_flicker_of_exposure_is_none(man):
    frames = [np.clip(f * gain, 0, 255).astype(np.uint8) for f, gain in zip(man, [1, 0.95] * 12, strict=True)]
    assert cuts(frames) == []
