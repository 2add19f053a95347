import numpy as np

from fakedetect_jax.faces import landmarks


def test_the_groups_name_every_point_once():
    groups = [
        landmarks.JAW,
        landmarks.LEFT_BROW,
        landmarks.RIGHT_BROW,
        landmarks.NOSE_RIDGE,
        landmarks.NOSE_BASE,
        landmarks.LEFT_EYE,
        landmarks.RIGHT_EYE,
        landmarks.OUTER_LIPS,
        landmarks.INNER_LIPS,
        landmarks.FOREHEAD,
    ]
    points = np.concatenate([np.arange(landmarks.LANDMARKS)[group] for group in groups])
    np.testing.assert_array_equal(points, np.arange(81))
    assert len(range(81)[landmarks.FOREHEAD]) == 13


def test_mirroring_exchanges_left_and_right_groups():
    order = landmarks.MIRROR_ORDER
    np.testing.assert_array_equal(order[order], np.arange(81))
    for left, right in (("LEFT_BROW", "RIGHT_BROW"), ("LEFT_EYE", "RIGHT_EYE")):
        left, right = (set(np.arange(81)[getattr(landmarks, name)]) for name in (left, right))
        assert {int(order[point]) for point in left} == right
    # The midline stays: chin, nose ridge, middle of the nose base and of the lips, middle of the forehead.
    midline = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66, 74]
    np.testing.assert_array_equal(np.flatnonzero(order == np.arange(81)), midline)
