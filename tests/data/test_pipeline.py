import dataclasses

import grain
import numpy as np
import pytest

from fakedetect_jax.data.clips import Clip
from fakedetect_jax.data.pipeline import Loading, Shard, evaluation_batches, evaluation_clips, train_batches
from fakedetect_jax.data.videos import concatenate
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction, FrameChoice
from tests.conftest import clip_spec, make_videos

SPEC = clip_spec(frames=3, stride=0.08)
OPTIONS = {"batch_size": 4, "seed": 7}


def stack(batches):
    return [{name: np.asarray(rows) for name, rows in batch.items()} for batch in batches]


def assert_same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_shapes_types_and_padding_of_short_videos():
    videos = make_videos([1, 8, 9, 12])
    batch = next(train_batches(videos, SPEC, steps=1, **OPTIONS))
    assert batch["frames"].shape == (4, 3, 64, 64, 3)
    assert batch["frames"].dtype == np.uint8
    assert batch["landmarks"].shape == (4, 3, 81, 2)
    assert batch["valid"].dtype == bool
    assert sorted(batch["valid"].sum(axis=1)) == [1, 3, 3, 3]
    # Every other frame at 25 a second, or a repeated frame if a video has too few.
    steps = np.diff(batch["timestamps"], axis=1)
    np.testing.assert_allclose(steps, np.where(batch["valid"][:, 1:], 2 / 25, 0), rtol=1e-5)
    assert batch["label"].dtype == np.int32
    assert batch["weight"].dtype == np.float32


def test_a_later_start_gives_the_same_batches(videos):
    whole = stack(train_batches(videos, SPEC, steps=9, **OPTIONS))
    assert_same(whole[5:], stack(train_batches(videos, SPEC, steps=9, start=5, **OPTIONS)))


def test_every_epoch_sees_every_video_once_in_another_order(videos):
    batches = train_batches(videos, SPEC, steps=11, **OPTIONS)
    people = [int(person) for batch in batches for person in batch["identity"]]
    epochs = [people[11 * number : 11 * (number + 1)] for number in range(4)]
    assert len(set(people)) == 11
    assert all(sorted(epoch) == sorted(set(people)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_threads_and_processes_do_not_change_the_batches(videos):
    plain = stack(train_batches(videos, SPEC, steps=5, loading=Loading(threads=1), **OPTIONS))
    threads = stack(train_batches(videos, SPEC, steps=5, loading=Loading(threads=4), **OPTIONS))
    workers = stack(train_batches(videos, SPEC, steps=5, loading=Loading(workers=2), **OPTIONS))
    assert_same(plain, threads)
    assert_same(plain, workers)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_batch_of_one(videos, count):
    whole = stack(train_batches(videos, SPEC, steps=3, **OPTIONS))
    parts = [
        stack(train_batches(videos, SPEC, steps=3, shard=Shard(index, count), **OPTIONS))
        for index in range(count)
    ]
    joined = [
        {name: np.concatenate([part[step][name] for part in parts]) for name in whole[0]} for step in range(3)
    ]
    assert_same(whole, joined)


def test_evaluation_sees_every_clip_once_and_pads_alike_on_every_process(videos):
    spec = clip_spec(frames=2, stride=0.04, interval=0.2)
    clips = evaluation_clips(videos, spec)
    parts = [
        stack(evaluation_batches(videos, spec, batch_size=4, shard=Shard(index, 2))) for index in range(2)
    ]
    assert len(parts[0]) == len(parts[1]) == -(-len(clips) // 4)
    places = np.concatenate([batch["place"] for part in parts for batch in part])
    weights = np.concatenate([batch["weight"] for part in parts for batch in part])
    assert sorted(places[places >= 0].tolist()) == list(range(len(clips)))
    np.testing.assert_array_equal(weights, (places >= 0).astype(np.float32))


def test_a_batch_that_does_not_divide_by_the_processes_is_refused(videos):
    with pytest.raises(ValueError, match="batch_size=4 does not divide by the 3 processes"):
        next(train_batches(videos, SPEC, steps=1, shard=Shard(0, 3), **OPTIONS))


def test_joined_selections_read_from_their_own_records():
    first, second = make_videos([4, (3, 2)]), make_videos([4, 4, (2, 4)])
    joined = concatenate({"first": first, "second": second})
    assert len(joined) == 5
    clip = Clip(1, np.arange(2), np.ones(2, bool))
    for whole, part, number in ((1, first, 1), (4, second, 2)):
        np.testing.assert_array_equal(
            joined.load([(whole, clip)])["landmarks"], part.load([(number, clip)])["landmarks"]
        )


def test_selections_of_other_crops_are_not_joined():
    first = make_videos([4])
    other = dataclasses.replace(first, extraction=Extraction(size=64, frames=FrameChoice(every=5)))
    with pytest.raises(
        FakedetectError, match=r"one and two were built .*'--size 64' and '--every 5 --size 64'"
    ):
        concatenate({"one": first, "two": other})


def test_the_stream_is_a_grain_iterator_that_knows_its_place(videos):
    batches = train_batches(videos, SPEC, steps=4, **OPTIONS)
    assert isinstance(batches, grain.DatasetIterator)
    next(batches)
    state = batches.get_state()
    second = next(batches)
    batches.set_state(state)
    assert_same([second], [next(batches)])
