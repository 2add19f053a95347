"""Folders of pictures that are face crops already."""

import cv2
import numpy as np
import pytest

from fakedetect_jax.faces import extract_faces
from fakedetect_jax.faces.video import Bordered
from fakedetect_jax.faces.warp import apply_affine


@pytest.fixture(scope="module")
def whole(clip_path):
    (sequence,) = extract_faces(clip_path)
    return sequence


def crops(man, whole, folder, *, room, scale):
    """Write the face of each frame as a crop of its own size: the box plus `room`, a share of it, on each side."""
    folder.mkdir()
    corners = []
    for place, (image, box) in enumerate(zip(man, whole.box, strict=True)):
        wide = room * (box[2:] - box[:2])
        x0, y0 = np.maximum(box[:2] - wide, 0).astype(int)
        x1, y1 = (box[2:] + wide).astype(int)
        size = scale(place)
        crop = cv2.resize(image[y0:y1, x0:x1], None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{place}.png"), crop)
        corners.append((x0, y0, *crop.shape[:2]))
    return corners


@pytest.mark.parametrize(
    ("room", "scale"),
    [
        (0.15, lambda place: 2.0),
        (0.02, lambda place: 2.0),
        (0.15, lambda place: 2.0 + 0.05 * (place % 5)),  # every crop of another size
    ],
)
def test_every_crop_of_a_folder_is_a_frame_of_one_track(man, whole, tmp_path, room, scale):
    corners = crops(man, whole, tmp_path / "crops", room=room, scale=scale)
    (sequence,) = extract_faces(tmp_path / "crops", face_crops=True)
    assert len(sequence) == sequence.video_frames == 24
    # The landmarks are those of the face in the video; errors are measured in face widths.
    for place in range(0, 24, 6):
        x0, y0, height, width = corners[place]
        inside = apply_affine(cv2.invertAffineTransform(sequence.affine[place]), sequence.landmarks[place])
        side = sequence.frame_size[0]
        longest = max(corners[0][2:])
        shown = np.array([width, height]) * longest / max(height, width)
        inside = (inside - (side - shown) / 2) / (longest / max(height, width)) / scale(place) + (x0, y0)
        true = apply_affine(cv2.invertAffineTransform(whole.affine[place]), whole.landmarks[place])
        face = np.ptp(true[:, 0])
        assert np.abs(inside - true).mean() < 0.03 * face


def test_the_crop_is_in_the_middle_of_a_square_of_the_first_ones_size():
    prepare = Bordered()
    first = prepare(np.full((40, 100, 3), 7, np.uint8))
    assert first.shape == (180, 180, 3)
    assert (first == 7).all()
    later = np.zeros((50, 50, 3), np.uint8)
    later[10:40, 10:40] = 200
    out = prepare(later)
    assert out.shape == first.shape
    assert (out[70:110, 70:110] > 150).all()
    assert (out[:50] < 60).all()
