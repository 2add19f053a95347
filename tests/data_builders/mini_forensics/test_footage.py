"""The plan keeps people apart and labels right; the camera is deterministic and smooth."""

import dataclasses
from collections import Counter
from itertools import pairwise

import cv2
import numpy as np
import pytest

from fakedetect_jax.data_builders.mini_forensics import footage
from fakedetect_jax.faces.networks import FaceDetector

PLAN = footage.plan()


def test_plan_counts():
    counts = Counter((clip.split, clip.method) for clip in PLAN)
    assert [counts[split, "real"] for split in footage.SPLITS] == [40, 9, 20]
    assert [counts["test", method] for method in footage.METHODS] == [20, 20, 20]
    assert [counts["validation", method] for method in footage.METHODS] == [9, 9, 9]
    assert sum(counts["train", method] for method in footage.METHODS) == 36


def test_video_ids_are_unique_file_names():
    ids = [clip.video_id for clip in PLAN]
    assert len(set(ids)) == len(ids)
    assert all("/" not in name and name.startswith(clip.split) for name, clip in zip(ids, PLAN, strict=True))


def test_people_and_photographs_stay_in_one_split():
    for people in ("identity", "source_identity"):
        where = {(getattr(clip, people), clip.split) for clip in PLAN if getattr(clip, people)}
        assert len({name for name, _ in where}) == len(where)
    origins = {(tuple(row["origin"].split(", ")[:2]), row["split"]) for row in footage.manifest()}
    assert len({origin for origin, _ in origins}) == len(origins)


def test_every_fake_has_its_real_twin_and_a_donor_of_the_same_split():
    real = {clip.target: clip for clip in PLAN if clip.label == 0}
    home = {row["file"]: row for row in footage.manifest()}
    for clip in PLAN:
        assert clip.label == (clip.method != "real")
        if clip.donor is None:
            assert (clip.label, clip.source_identity) == (0, "")
            continue
        assert real[clip.target].identity == clip.identity != clip.source_identity
        assert home[clip.donor.asset]["identity"] == clip.source_identity
        assert home[clip.donor.asset]["split"] == clip.split


def test_no_donor_carries_a_method():
    for method in footage.METHODS:
        used = Counter(clip.source_identity for clip in PLAN if (clip.split, clip.method) == ("test", method))
        assert max(used.values()) <= 7  # of 20, with 5 people
        assert len(used) >= 4


def test_plan_follows_the_seed():
    assert footage.plan(0) == PLAN
    assert [clip.donor for clip in footage.plan(1)] != [clip.donor for clip in PLAN]


def test_manifest_lists_every_file_and_its_licence():
    listed = {row["file"] for row in footage.manifest()}
    present = {path.name for path in footage.ASSETS.iterdir() if path.suffix in (".jpg", ".mp4")}
    assert listed == present
    assert sum(path.stat().st_size for path in footage.ASSETS.iterdir()) < 6e6
    for row in footage.manifest():
        _, _, text = row["licence"].partition("(")
        assert not text or (footage.ASSETS / text.rstrip(")")).exists()


@pytest.mark.parametrize("row", footage.manifest()[::2], ids=lambda row: row["file"])
def test_one_face_in_the_picture(row):
    """A second face would become a track of its own, with somebody else's label."""
    frames = footage.read(footage.Shot(row["file"], 0)).frames
    assert len(FaceDetector()(frames[len(frames) // 2]).box) == 1


def test_camera_repeats_itself_and_differs_between_takes():
    first = footage.read(footage.Shot("s5c.jpg", 0)).frames
    np.testing.assert_array_equal(first, footage.read(footage.Shot("s5c.jpg", 0)).frames)
    np.testing.assert_array_equal(first[:1], footage.read(footage.Shot("s5c.jpg", 0), count=1).frames)
    for other in (
        footage.read(footage.Shot("s5c.jpg", 1)),
        footage.read(footage.Shot("s5c.jpg", 0), seed=1),
    ):
        assert np.abs(first.astype(int) - other.frames).mean() > 3


def test_camera_moves_smoothly():
    frames = footage.read(footage.Shot("s6a.jpg", 0)).frames
    assert frames.shape[0] == footage.PHOTO_FRAMES
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32) for frame in frames]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_32F)
    steps = np.array([cv2.phaseCorrelate(a, b, window)[0] for a, b in pairwise(grey)])
    assert np.linalg.norm(steps, axis=1).max() < 8
    assert np.linalg.norm(np.diff(steps, axis=0), axis=1).max() < 2.5
    assert np.linalg.norm(steps, axis=1).sum() > 3


def test_sensor_noise_changes_from_frame_to_frame():
    a, b = footage.read(footage.Shot("s6a.jpg", 1)).frames[:2].astype(np.float32)
    high = [image - cv2.GaussianBlur(image, (0, 0), 1) for image in (a, b)]
    flat = np.abs(high[0]) < 8
    assert abs(np.corrcoef(high[0][flat], high[1][flat])[0, 1]) < 0.5
    assert high[0][flat].std() > 0.5


def test_mirrored_is_the_same_clip_seen_in_a_mirror():
    shot = footage.Shot("man_a_0.mp4", 0)
    plain, mirrored = (footage.read(s) for s in (shot, dataclasses.replace(shot, mirrored=True)))
    np.testing.assert_array_equal(mirrored.frames[3], cv2.flip(plain.frames[3], 1))
    assert plain.frames.shape[0] == 24
    assert plain.fps == pytest.approx(12.5)


@pytest.mark.parametrize("name", ["nobody.jpg", "nobody.mp4"])
def test_missing_asset_is_named(name):
    with pytest.raises(ValueError, match=name):
        footage.read(footage.Shot(name, 0))
