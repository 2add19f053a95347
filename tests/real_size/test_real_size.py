"""Videos of the length that people have, built, trained on, exported and evaluated."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fakedetect_jax.configs import base
from fakedetect_jax.data.index import load_index
from fakedetect_jax.data.videos import select
from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.deployment.inference import load_detector
from fakedetect_jax.evaluation.scores import read_csv
from fakedetect_jax.experiment import evaluate, export, train
from fakedetect_jax.faces import Extraction
from tests import tiny_config
from tests.listed_videos import ListedVideos
from tests.real_size.long_videos import steady, two_people


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    usual, longest = steady(folder / "usual.mp4", 600), steady(folder / "longest.mp4", 5000)
    pair = two_people(folder / "pair.mp4", 60)
    items = [
        VideoItem("usual0", "train", "real", usual, "a"),
        VideoItem("pair0", "train", "real", pair, "b"),
        VideoItem("usual1", "validation", "real", usual, "c"),
        VideoItem("usual", "test", "real", usual, "d"),
        VideoItem("longest", "test", "swap", longest, "e"),
        VideoItem("pair", "test", "swap", pair, "f"),
    ]
    # Small crops, and faces looked for now and then: the lengths are what is tried here.
    extraction = Extraction(size=64, detect_every=25)
    return prepare(ListedVideos(items, data_dir=folder / "data", extraction=extraction))[0]


@pytest.fixture(scope="module")
def config(data):
    config = tiny_config.get_config()
    name = f"listed_videos/{data.parent.name}"
    config.data.folder = str(data.parents[2])
    config.data.train = {"long": base.source(name, "train", ("real",))}
    config.validation.sources = {"long": base.source(name, "validation", ("real",))}
    config.evaluation.sources = {"long": base.source(name, "test")}
    config.clip.interval = 5.0
    config.train.steps, config.train.checkpoint_every = 4, 4
    config.validation.every = 4
    return config


@pytest.fixture(scope="module")
def workdir(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    train(config, workdir)
    export(config, workdir)
    evaluate(config, workdir, detector_folder=workdir / "detector")
    return workdir


def test_every_frame_is_a_record_in_its_place(data):
    index = load_index(data, "test")
    assert [(entry.video_id, entry.frames, entry.main) for entry in index.entries] == [
        ("usual", 600, True),
        ("longest", 5000, True),
        ("pair", 60, True),
        ("pair", 60, False),
    ]
    for entry in index.entries:
        places = slice(entry.first, entry.first + entry.frames)
        np.testing.assert_array_equal(index.frame_index[places], np.arange(entry.frames))
        np.testing.assert_allclose(index.timestamp[places], np.arange(entry.frames) / 25, atol=2e-3)


def test_the_frames_of_a_clip_are_those_that_it_names(data):
    videos = select(data.parents[2], f"listed_videos/{data.parent.name}", "test")
    (longest,) = (video for video in videos.videos if video.about.video_id == "longest")
    for place in (0, 511, 512, 513, 4999):
        record = videos.records[longest.about.first + place]
        assert (record["video_id"], record["offset"], record["frame_index"]) == (b"longest", place, place)


def test_clips_cover_a_long_video_and_are_all_in_its_score(workdir):
    rows = [row for row in read_csv(workdir / "evaluation" / "scores.csv") if row.video_id == "longest"]
    # 200 seconds, a clip for every 5: the first in the middle of its share, the last as far from the end.
    assert [row.clip for row in rows] == list(range(40))
    assert abs(rows[0].frame_index[0] - 62) <= 2
    assert abs(rows[-1].frame_index[0] - (4999 - 62)) <= 2
    assert set(np.diff([row.frame_index[0] for row in rows]).tolist()) <= {124, 125}
    assert {row.frame_index[1] - row.frame_index[0] for row in rows} == {2}
    summary = json.loads((workdir / "evaluation" / "metrics.json").read_text())
    overall = summary["datasets"]["long"]["video"]["overall"]
    assert (overall["n_real"], overall["n_fake"], overall["n_failed"]) == (1, 2, 0)


def test_predict_says_of_a_long_video_what_evaluate_says(workdir, data, tmp_path):
    detector = load_detector(workdir / "detector")
    rows = read_csv(workdir / "evaluation" / "scores.csv")
    for path, method in ((data.parents[3] / "usual.mp4", "real"), (data.parents[3] / "pair.mp4", "swap")):
        scores = [row.score for row in rows if (row.video_id, row.method) == (path.stem, method)]
        np.testing.assert_allclose(detector.predict(path)[0].clip_scores, scores, atol=1e-5, rtol=0)


def test_scores_are_on_disk_before_anything_can_fail(config, workdir, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise RuntimeError("no figures today")

    monkeypatch.setattr("fakedetect_jax.evaluation.evaluate.summarise", fails)
    with pytest.raises(RuntimeError, match="no figures"):
        evaluate(config, tmp_path, detector_folder=workdir / "detector")
    whole = (workdir / "evaluation" / "scores.csv").read_text()
    assert (tmp_path / "evaluation" / "scores.csv").read_text() == whole
