"""A detector that looks at motion alone gives no verdict on what shows none, in `predict` and `evaluate` alike."""

from __future__ import annotations

import itertools

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax import models
from fakedetect_jax.data.clips import Clip, ClipSpec
from fakedetect_jax.data.videos import select
from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.deployment.evidence import change_of, why_not_judged
from fakedetect_jax.evaluation.evaluate import score_videos
from fakedetect_jax.evaluation.scores import aggregate
from fakedetect_jax.faces import Extraction, FrameChoice
from tests.faces.encoding import encode
from tests.listed_videos import ListedVideos
from tests.real_size.long_videos import face_frames
from tests.tiny_dataset import FACE
from tests.tiny_detector import MOTION, tiny_detector

SPEC = ClipSpec(Extraction(size=128), frames=4, stride=0.04, interval=0.16, size=64, margin=0.125)
REASONS = {
    "photograph.jpg": "there is a single frame",
    "one.mp4": "there is a single frame",
    "slow.mp4": "the frames are 1 s apart, when 0.12 s is the most at which it knows motion",
    "still.mp4": "nothing moves",
    "noisy.mp4": "nothing moves",
    "old_codec.mp4": "nothing moves",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    faces = face_frames()
    noise = np.random.default_rng(0).normal(0, 2, (40, *faces[5].shape))
    cv2.imwrite(str(folder / "photograph.jpg"), faces[5])
    encode(folder / "one.mp4", faces[:1])
    encode(folder / "slow.mp4", faces[:24:4], rate=1, options={"crf": "18"})
    encode(folder / "still.mp4", [faces[5]] * 40, options={"crf": "35"})
    encode(folder / "noisy.mp4", np.clip(faces[5] + noise, 0, 255).astype(np.uint8), options={"crf": "23"})
    encode(folder / "old_codec.mp4", [faces[5]] * 40, codec="mpeg4", options={"b": "100000"})
    encode(folder / "compressed.mp4", faces, options={"crf": "32"})
    return folder


@pytest.fixture(scope="module")
def motion_detector():
    return tiny_detector(SPEC, MOTION)


@pytest.mark.parametrize("name", REASONS)
def test_a_still_cannot_be_judged_by_motion(folder, motion_detector, name):
    (person,) = motion_detector.predict(folder / name)
    assert (person.score, person.fake, person.word) == (None, None, "cannot be judged")
    assert person.reason == f"it looks at motion alone, and {REASONS[name]}"
    assert person.clip_scores == person.frame_scores == []


def test_a_detector_that_sees_frames_judges_a_photograph(folder):
    detector = tiny_detector(SPEC)
    for name in ("photograph.jpg", "slow.mp4", "still.mp4"):
        (person,) = detector.predict(folder / name)
        assert person.word in ("fake", "real")
        assert person.reason == ""


@pytest.mark.parametrize("name", ["face.mp4", "compressed.mp4"])
def test_a_calm_face_is_judged(folder, motion_detector, name):
    verdict = motion_detector.predict(FACE if name == "face.mp4" else folder / name)
    assert verdict[0].reason == ""
    assert verdict.judged
    assert len(verdict[0].clip_scores) == verdict.decoded // 4


def test_a_frozen_part_does_not_count(folder, motion_detector):
    faces = face_frames()
    video = encode(folder / "frozen.mp4", faces[:24] + [faces[23]] * 60, options={"crf": "23"})
    (person,) = motion_detector.predict(video)
    seconds = np.array(person.timestamp)
    assert 5 <= len(person.clip_scores) <= 8
    assert seconds.max() < 1.3
    np.testing.assert_allclose(person.score, np.mean(person.clip_scores))


def test_every_look_of_many_counts(folder, motion_detector):
    """A look of three frames shows motion, one of a single frame none."""
    faces = face_frames()
    blue = np.full_like(faces[0], (200, 40, 10))
    looks = [[*faces[place : place + 1 + 2 * (place % 2)], blue] for place in range(20)]
    video = encode(folder / "looks.mp4", list(itertools.chain(*looks)), options={"crf": "18"})
    (person,) = motion_detector.predict(video)
    assert len(person.tracks) == 20
    assert len(person.clip_scores) == 10


def test_frames_that_are_kept_too_far_apart_show_no_motion(motion_detector):
    (person,) = motion_detector.predict(FACE, frames=FrameChoice(every=5))
    assert "0.2 s apart" in person.reason
    (person,) = motion_detector.predict(FACE, frames=FrameChoice(count=2, run=6))
    assert person.reason == ""


def test_predict_and_evaluate_judge_the_same_videos(folder, tmp_path, motion_detector):
    names = ["one.mp4", "slow.mp4", "still.mp4", "noisy.mp4", "compressed.mp4"]
    items = [VideoItem(name, "test", "real", folder / name, name) for name in names]
    made, _ = prepare(ListedVideos(items, data_dir=tmp_path, extraction=SPEC.extraction))
    dataset = "/".join(made.relative_to(tmp_path).parts[:-1])
    rows = score_videos(motion_detector, select(tmp_path, dataset, "test"), name="here", batch_size=8)
    found = {video.video_id: video for video in aggregate(rows)}
    assert found.keys() == set(names)
    for name in names:
        (person,) = motion_detector.predict(folder / name)
        assert (found[name].not_judged, found[name].failed) == (person.reason, person.score is None)
        if person.score is not None:
            np.testing.assert_allclose(found[name].score, person.score, atol=1e-5, rtol=0)


def clip(track, *positions, valid=None):
    return Clip(track, np.array(positions), np.ones(len(positions), bool) if valid is None else valid)


def test_a_track_of_one_frame_and_a_gap_are_told_from_motion():
    times = [[np.float32([0, 0.04, 0.08, 0.12]), np.float32([5]), np.float32([7, 7.04, 9, 9.04])]]
    clips = [
        (0, clip(0, 0, 1)),
        (0, clip(0, 2, 3)),
        (0, clip(1, 0, 0, valid=np.array([True, False]))),
        (0, clip(2, 1, 2)),
        (0, clip(2, 2, 3)),
    ]
    reasons = why_not_judged(clips, times, np.array([3.0, 3.0, 0.0, 3.0, 3.0]), SPEC)
    assert [reason.partition("and ")[2] for reason in reasons] == [
        "",
        "",
        "there is a single frame",
        "the frames are 2 s apart, when 0.12 s is the most at which it knows motion",
        "",
    ]


def test_one_key_frame_does_not_make_a_still_move_nor_one_pause_a_face_still():
    times = [[np.arange(40, dtype=np.float32) / 25] * 2]
    clips = [(0, clip(track, *range(4 * n, 4 * n + 4))) for track in (0, 1) for n in range(10)]
    still, moving = np.full(10, 0.1), np.full(10, 2.0)
    still[[0, 1, 4, 8]], moving[[0, 1, 5, 9]] = 4.0, 0.1
    reasons = why_not_judged(clips, times, np.concatenate([still, moving]), SPEC)
    assert [bool(reason) for reason in reasons] == [True] * 10 + [False] * 10


def test_change_is_that_of_means_over_cells():
    rng = np.random.default_rng(1)
    picture = rng.uniform(60, 180, (64, 64, 3)).astype(np.float32)
    steps = np.float32([0, 1, -4, 2])[None, :, None, None, None]
    brighter = np.broadcast_to(picture, (1, 4, 64, 64, 3)) + steps
    noisy = np.broadcast_to(picture, (1, 4, 64, 64, 3)) + rng.normal(0, 2, (1, 4, 64, 64, 3))
    frames = jnp.asarray(np.concatenate([brighter, noisy, brighter]) / 255, jnp.float32)
    valid = np.array([[True] * 4, [True] * 4, [True, True, False, True]])
    change = np.asarray(change_of(models.Clip(frames, valid=valid)))
    # The mean of 2 x 2 pixels and three colours has a standard deviation of 2 / sqrt(12), a difference sqrt(2) of it.
    expected = 2 / np.sqrt(12) * np.sqrt(2) * np.sqrt(2 / np.pi)
    np.testing.assert_allclose(change, [4, expected, 2], rtol=0.05)


@pytest.mark.parametrize(
    ("options", "alone"),
    [
        ({"motion": {}}, True),
        ({"motion": {}, "temporal": {}}, True),
        ({"motion": {}, "frequency": {}}, False),
        ({"motion": {}, "spatial": {"variant": "atto"}}, False),
        ({"spatial": {"variant": "atto"}, "temporal": {}}, False),
    ],
)
def test_a_model_with_a_branch_on_frames_needs_no_motion(options, alone):
    assert models.is_motion_only(models.create("detector", **options)) is alone


@pytest.mark.parametrize(
    ("name", "alone"), [("st_gcn", True), ("ftcn", True), ("i3d", False), ("meso4", False)]
)
def test_published_models_say_whether_they_look_at_motion_alone(name, alone):
    assert models.is_motion_only(models.create(name)) is alone
