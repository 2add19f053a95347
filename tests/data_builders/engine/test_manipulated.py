import cv2
import numpy as np

from fakedetect_jax.data_builders.engine.manipulated import main_person
from tests.data_builders.engine.test_journal import sequence


def people(tmp_path):
    """Two tracks, left and right, and a mask video that is white at the right."""
    left, right = sequence(20), sequence(20, track=1)
    left.box[:] = (5, 5, 45, 60)
    right.box[:] = (75, 10, 115, 60)
    writer = cv2.VideoWriter(str(tmp_path / "mask.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (120, 64))
    for _ in range(20):
        frame = np.zeros((64, 120, 3), np.uint8)
        frame[15:55, 80:110] = 255
        writer.write(frame)
    writer.release()
    return [left, right], tmp_path / "mask.avi"


def test_the_masked_face_is_the_main_one(tmp_path):
    tracks, mask = people(tmp_path)
    assert main_person(tracks, mask) == (1, "mask")


def test_without_a_readable_mask_the_first_is(tmp_path):
    tracks, _ = people(tmp_path)
    assert main_person(tracks, None) == (0, "size")
    assert main_person(tracks, tmp_path / "none.avi") == (0, "size")
    black = tmp_path / "black.png"
    cv2.imwrite(str(black), np.zeros((64, 120, 3), np.uint8))
    assert main_person(tracks, black) == (0, "size")
