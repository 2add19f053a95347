"""Aggregation rules on hand-made rows, and the round trip through scores.csv."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.scores import Failure, Score, aggregate, read_csv, write_csv


def row(**changes):
    base = {
        "dataset": "ff",
        "method": "Deepfakes",
        "video_id": "000_003",
        "track": 0,
        "label": 1,
        "score": 0.8,
        "frame_index": (0, 4),
        "frame_scores": (0.7, 0.9),
        "identity": "000",
    }
    return Score(**(base | changes))


def test_same_name_under_two_methods_is_two_videos():
    videos = aggregate([row(score=0.8), row(method="FaceSwap", score=0.2), row(dataset="cdf", score=0.4)])
    assert [(video.key, video.score) for video in videos] == [
        (("cdf", "Deepfakes", "000_003"), 0.4),
        (("ff", "Deepfakes", "000_003"), 0.8),
        (("ff", "FaceSwap", "000_003"), 0.2),
    ]


def test_video_is_the_mean_clip_of_all_tracks_and_shared_frames_are_averaged():
    """Three clips of two shots weigh alike, whatever shot they are from; frame 4 is in two clips."""
    (video,) = aggregate(
        [
            row(track=2, clip=0, score=0.9, frame_index=(9,), frame_scores=(1.0,)),
            row(track=1, clip=1, score=0.7, frame_index=(4, 8), frame_scores=(0.5, 0.75)),
            row(track=1, clip=0, score=0.2, frame_index=(0, 4), frame_scores=(0.25, 0.0)),
        ]
    )
    assert video.score == pytest.approx(0.6)
    assert video.frame_scores == (0.25, 0.25, 0.75, 1.0)
    assert video.cluster == "identity 000"


def unjudged(reason="nothing moves", **changes):
    return row(score=None, frame_scores=(), not_judged=reason, **changes)


def test_clips_that_cannot_be_judged_do_not_count_and_a_video_of_such_has_no_score():
    clips = [row(clip=0, score=0.25), unjudged(clip=1), unjudged("a single frame", track=1)]
    (video,) = aggregate(clips)
    assert (video.score, video.failed, video.not_judged) == (0.25, False, "")
    (video,) = aggregate([*clips[1:], unjudged("a single frame", track=2)])
    assert (video.score, video.failed, video.not_judged) == (0.5, True, "a single frame")
    assert (video.frame_scores, video.identity) == ((), "000")


def test_clips_of_two_tracks_may_have_one_number():
    (video,) = aggregate([row(track=0, score=0.25), row(track=1, score=0.75)])
    assert video.score == 0.5


def test_a_video_of_unknown_identity_is_its_own_cluster():
    videos = aggregate([row(identity=""), row(identity="", method="FaceSwap")])
    assert len({video.cluster for video in videos}) == 2


def test_failed_videos_have_the_score_one_half_and_are_marked():
    failure = Failure("ff", "real", "007", 0, "no face", identity="007")
    videos = aggregate([row()], failures=[failure])
    assert [(video.video_id, video.score, video.failed, video.frame_scores) for video in videos] == [
        ("000_003", 0.8, False, (0.7, 0.9)),
        ("007", 0.5, True, ()),
    ]


@pytest.mark.parametrize(
    ("rows", "failures", "message"),
    [
        ([row(), row(score=0.1)], [], "given twice"),
        ([row(), row(clip=1, identity="001")], [], "several identities"),
        ([row()], [Failure("ff", "Deepfakes", "000_003", 1, "no face")], "listed as failed but was scored"),
        ([row()], [Failure("ff", "real", "1", 0, "no face")] * 2, "listed as failed"),
    ],
)
def test_contradictions_are_refused(rows, failures, message):
    with pytest.raises(FakedetectError, match=message):
        aggregate(rows, failures=failures)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": 1.5}, "score 1.5 is not a probability"),
        ({"score": math.nan}, "score nan"),
        ({"score": math.inf}, "score inf"),
        ({"frame_scores": (0.5, math.nan)}, "score nan"),
        ({"frame_scores": (0.5, -1.0)}, "score -1.0"),
        ({"frame_scores": (0.5,)}, "2 frame_index for 1 frame_scores"),
        ({"score": None}, "give a score, or a reason"),
        ({"not_judged": "nothing moves"}, "give a score, or a reason"),
        ({"score": None, "not_judged": "nothing moves"}, "scores of frames of a clip that is not judged"),
        ({"label": 2}, "label is 2"),
        ({"label": 0}, "contradicts method 'Deepfakes'"),
        ({"method": "real"}, "contradicts method 'real'"),
        ({"video_id": ""}, "must not be empty"),
    ],
)
def test_bad_rows_are_named(changes, message):
    with pytest.raises(FakedetectError, match=message):
        row(**changes)


probability = st.floats(0, 1)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


@st.composite
def rows(draw):
    frames = draw(st.lists(st.tuples(st.integers(0, 10**6), probability), max_size=4))
    reason = draw(st.just("") | names)
    return row(
        dataset=draw(names),
        video_id=draw(names),
        identity=draw(st.just("") | names),
        track=draw(st.integers(0, 9)),
        clip=draw(st.integers(0, 9)),
        score=None if reason else draw(probability),
        frame_index=tuple(index for index, _ in frames),
        frame_scores=() if reason else tuple(score for _, score in frames),
        not_judged=reason,
    )


@given(st.lists(rows(), max_size=5))
@settings(max_examples=60, deadline=None)
def test_csv_round_trip_is_exact(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("csv") / "scores.csv"
    assert read_csv(write_csv(path, scores)) == scores


def test_csv_errors_name_file_and_line(tmp_path):
    path = write_csv(tmp_path / "scores.csv", [row(), row(clip=1)])
    text = path.read_text()
    path.write_text(text.replace("0.7 0.9,000,,1", "0.7 high,000,,1"))
    with pytest.raises(FakedetectError, match=r"scores\.csv, line 3: .*high"):
        read_csv(path)
    path.write_text(text.replace("frame_scores", "frames"))
    with pytest.raises(FakedetectError, match=r"scores\.csv, line 1: no column frame_scores"):
        read_csv(path)


@pytest.mark.parametrize("cut", ["000,,1\n", " 0.9,000,,1\n", ",0 4,0.7 0.9,000,,1\n"])
def test_a_file_that_was_cut_short_is_named(tmp_path, cut):
    path = write_csv(tmp_path / "scores.csv", [row(), row(clip=1)])
    assert path.read_text().endswith(cut)
    path.write_text(path.read_text().removesuffix(cut))
    with pytest.raises(FakedetectError, match=r"scores\.csv, line 3: "):
        read_csv(path)


@pytest.mark.parametrize("rubbish", [b"\xe9", b"x" * 200_000, b"\0"], ids=["latin-1", "long", "null"])
def test_a_file_that_is_no_table_is_named(tmp_path, rubbish):
    path = write_csv(tmp_path / "scores.csv", [row()])
    path.write_bytes(path.read_bytes() + rubbish)
    with pytest.raises(FakedetectError, match=r"scores\.csv"):
        read_csv(path)


def test_rows_that_contradict_each_other_are_on_disk_all_the_same(tmp_path):
    """Scoring takes hours; what cannot be summarised must not be lost."""
    rows = [row(), row(score=0.1), row(clip=1, identity="001")]
    with pytest.raises(FakedetectError):
        aggregate(rows)
    assert read_csv(write_csv(tmp_path / "scores.csv", rows)) == rows


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = write_csv(tmp_path / "scores.csv", [row()])
    before = path.read_text()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fakedetect_jax.files.os.replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_csv(path, [row(), row(clip=1)])
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]
