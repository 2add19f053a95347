"""`predict` on a video and `evaluate` on the records built of it, for every option of the build."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fakedetect_jax.cli.build import make_extraction
from fakedetect_jax.cli.main import make_parser
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.videos import select
from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.evaluate import score_videos
from fakedetect_jax.evaluation.scores import aggregate
from fakedetect_jax.experiment.sources import open_evaluation_source
from fakedetect_jax.faces.video import open_video
from tests import tiny_config
from tests.listed_videos import ListedVideos
from tests.real_size.long_videos import shots, two_people
from tests.tiny_dataset import FACE
from tests.tiny_detector import tiny_detector

BUILDS = (
    "",
    "--every 5",
    "--count 6",
    "--count 3 --run-length 4 --every 2",
    "--size 96",
    "--margin 0.6",
    "--detect-every 4",
    "--quality 60 --size 64",
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return [FACE, two_people(folder / "two.mp4", 30), shots(folder / "shots.mp4", (40, 20, 25))]


def built(paths, folder, flags):
    extraction = make_extraction(make_parser().parse_args(["build", "listed_videos", *flags.split()]))
    items = [VideoItem(path.stem, "test", "real", path, path.stem) for path in paths]
    made, report = prepare(ListedVideos(items, data_dir=folder, extraction=extraction))
    return "/".join(made.relative_to(folder).parts[:-1]), report


def evaluated(videos, detector):
    rows = score_videos(detector, videos, name="here", batch_size=8)
    return {video.video_id: video.score for video in aggregate(rows)}


@pytest.mark.parametrize("flags", BUILDS)
def test_predict_equals_evaluate(paths, tmp_path, flags):
    dataset, report = built(paths, tmp_path, flags)
    videos = select(tmp_path, dataset, "test")
    assert sorted(videos.extraction.flags.split()) == sorted(flags.split())
    detector = tiny_detector(
        ClipSpec(videos.extraction, frames=2, stride=0.08, interval=0.5, size=32, margin=0.1)
    )
    scores = evaluated(videos, detector)
    assert len(scores) == len(paths)
    assert all(not row["failure"] for row in report["videos"])
    for path in paths:
        verdict = detector.predict(path)[0]
        np.testing.assert_allclose(verdict.score, scores[path.stem], atol=1e-5, rtol=0)
    # Different videos, or this would pass with a detector that says nothing.
    assert np.ptp(list(scores.values())) > 1e-4


def test_predict_equals_evaluate_on_ready_face_crops(tmp_path):
    crops = tmp_path / "crops"
    crops.mkdir()
    for frame in open_video(FACE).frames:
        height = 120 + 2 * (frame.index % 4)
        cv2.imwrite(str(crops / f"{frame.index}.png"), frame.image[56 : 56 + height, 110:218])
    dataset, report = built([crops], tmp_path / "data", "--face-crops --size 64")
    assert (report["videos"][0]["tracks"], report["videos"][0]["missed"]) == (1, 0)
    videos = select(tmp_path / "data", dataset, "test")
    detector = tiny_detector(tiny_spec())  # which learned from whole frames
    assert videos.extraction.same_crops(detector.clip.extraction)
    scores = evaluated(videos, detector)
    verdict = detector.predict(crops, face_crops=True)[0]
    np.testing.assert_allclose(verdict.score, scores["crops"], atol=1e-5, rtol=0)


def test_a_video_is_scored_on_all_its_shots_and_the_report_says_what_is_missed(paths, tmp_path):
    dataset, report = built(paths, tmp_path, "")
    videos = select(tmp_path, dataset, "test")
    (video,) = (video for video in videos.videos if video.about.video_id == "shots")
    assert [len(times) for times in video.times] == [40, 20, 25]
    assert [index[0] for index in video.frame_index] == [0, 46, 72]
    rows = {row["video_id"]: row for row in report["videos"]}
    assert (rows["shots"]["seen"], rows["shots"]["missed"], rows["shots"]["tracks"]) == (97, 12, 3)
    assert (rows["two"]["seen"], rows["two"]["missed"], rows["two"]["tracks"]) == (30, 0, 2)
    spec = ClipSpec(videos.extraction, frames=2, stride=0.08, interval=0.5, size=32, margin=0.1)
    scored = score_videos(tiny_detector(spec), videos, name="here", batch_size=8)
    assert [row.track for row in scored if row.video_id == "shots"] == [0, 0, 0, 2, 2, 1, 1]


def test_people_beside_each_other_are_judged_apart(paths):
    detector = tiny_detector(tiny_spec())
    first, second = detector.predict(paths[1])
    assert (first.person, second.person) == (0, 1)
    assert max(box[2] for box in first.box) < min(box[0] for box in second.box)
    assert abs(first.score - second.score) > 1e-5


def tiny_spec():
    extraction = make_extraction(make_parser().parse_args(["build", "listed_videos", "--size", "64"]))
    return ClipSpec(extraction, frames=2, stride=0.08, interval=0.5, size=32, margin=0.1)


def test_data_of_another_build_is_refused_with_the_options_to_build_it_again(paths, tmp_path):
    dataset, _ = built(paths[:1], tmp_path, "--every 5")
    config = tiny_config.get_config()
    config.data.folder = str(tmp_path)
    config.evaluation.sources.tiny.dataset = dataset
    with pytest.raises(FakedetectError, match=r"was built with '--every 5', .* with '--size 64'"):
        open_evaluation_source(config, "tiny", tiny_detector(tiny_spec()))


@pytest.mark.parametrize(("policy", "left"), [("refuse", None), ("drop", 2), ("keep", 3)])
def test_people_whom_the_detector_knows_are_refused_unless_the_config_says_so(paths, tmp_path, policy, left):
    dataset, _ = built(paths, tmp_path, "--size 64")
    config = tiny_config.get_config()
    config.data.folder = str(tmp_path)
    source = config.evaluation.sources.tiny
    source.dataset, source.shared_people = dataset, policy
    detector = tiny_detector(tiny_spec())
    detector.spec["trained"]["people"] = ["listed_videos/two", "another/face"]
    if left is None:
        with pytest.raises(FakedetectError, match=r"1 of 3 videos .* real/two .*shared_people"):
            open_evaluation_source(config, "tiny", detector)
    else:
        assert len(open_evaluation_source(config, "tiny", detector)) == left
