"""Rendering is repeatable, and nothing but the face tells a fake from its real twin."""

import resource

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fakedetect_jax.data_builders.mini_forensics import footage, landmarks, render
from fakedetect_jax.errors import FakedetectError

PLAN = footage.plan()


def decode(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while (grabbed := video.read())[0]:
        frames.append(grabbed[1])
    return np.stack(frames), video.get(cv2.CAP_PROP_FPS)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Real clips and one fake of each, the methods in turn: (real path, fake path, fake's plan)."""
    folder = tmp_path_factory.mktemp("clips")
    reals = [clip for clip in PLAN if clip.split != "train" and clip.label == 0][::3]
    made = []
    for i, real in enumerate(reals):
        method = footage.METHODS[i % 3]
        fake = next(clip for clip in PLAN if (clip.target, clip.method) == (real.target, method))
        made.append((render.render(real, folder), render.render(fake, folder), fake))
    return made


def face_free(frame, points):
    """True outside the face by more than a third of its height."""
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros(frame.shape[:2], np.uint8), hull, 1)
    reach = int(np.ptp(points[:, 1]) / 3)
    return cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1))) == 0


def test_the_same_clip_decodes_to_the_same_frames(tmp_path):
    clip = next(clip for clip in PLAN if clip.method == "mesh_swap" and clip.split == "test")
    (tmp_path / "again").mkdir()
    first = decode(render.render(clip, tmp_path))[0]
    np.testing.assert_array_equal(first, decode(render.render(clip, tmp_path / "again"))[0])


def test_real_and_fake_files_have_the_same_shape(pairs):
    for real, fake, _ in pairs:
        (a, fps_a), (b, fps_b) = decode(real), decode(fake)
        assert a.shape == b.shape
        assert fps_a == fps_b


def test_encoding_keeps_the_picture(pairs):
    for _, path, clip in pairs[:2]:
        assert cv2.PSNR(decode(path)[0], render.pixels(clip).frames) > 30


def test_background_is_the_same_up_to_the_codec(pairs):
    for real, fake, clip in pairs:
        a, b = (decode(path)[0][::8].astype(int) for path in (real, fake))
        points = landmarks.track_mesh(footage.read(clip.target, seed=clip.seed).frames[::8])
        outside = np.stack([face_free(frame, p) for frame, p in zip(a, points, strict=True)])
        assert np.abs(a - b)[outside].mean() < 1.0
        assert abs((a - b)[outside].mean()) < 0.1


def border_statistics(path):
    """What a lazy detector could read off rim and file: light, sharpness, change, blocking, size."""
    frames = decode(path)[0].astype(np.float32).mean(axis=3)
    rim = np.ones(frames.shape[1:], bool)
    edge = frames.shape[1] // 12
    rim[edge:-edge, edge:-edge] = False
    sharp = np.stack([cv2.Laplacian(frame, cv2.CV_32F) for frame in frames])
    steps = np.abs(np.diff(frames, axis=2)).mean(axis=(0, 1))
    return [
        frames[:, rim].mean(),
        frames[:, rim].std(),
        np.abs(sharp[:, rim]).mean(),
        np.abs(np.diff(frames[:, rim], axis=0)).mean(),
        steps[7::8].mean() / steps.mean(),
        np.log(path.stat().st_size / frames.size),
    ]


def test_border_and_file_do_not_tell_the_label(pairs):
    features = np.array([border_statistics(path) for pair in pairs for path in pair[:2]])
    labels = np.tile([0, 1], len(pairs))
    groups = np.repeat(np.arange(len(pairs)), 2)
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(
        classifier, features, labels, groups=groups, cv=LeaveOneGroupOut(), method="decision_function"
    )
    assert roc_auc_score(labels, scores) < 0.7
    # The twins differ by less than a tenth of what separates two real clips.
    shift = np.abs((features[1::2] - features[::2]).mean(axis=0)) / features[::2].std(axis=0)
    assert shift.max() < 0.1, shift


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        render.render(PLAN[0], tmp_path / "nowhere")


def test_a_file_that_the_disk_cuts_short_is_refused(tmp_path):
    # OpenCV's writer does not say when it cannot write.
    frames = np.random.default_rng(0).integers(0, 255, (24, 64, 64, 3), dtype=np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(FakedetectError, match=r"short\.avi: .* of 24 frames .*room on the disk"):
            render.encode(frames, 25, tmp_path / "short.avi")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    render.encode(frames, 25, tmp_path / "short.avi")


def test_a_clip_without_a_face_is_refused():
    with pytest.raises(ValueError, match="no face in frame 0"):
        landmarks.track_mesh(np.zeros((2, 200, 200, 3), np.uint8))
