"""Telling people apart across cuts."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.faces import extract_faces
from fakedetect_jax.faces.appearance import TrackAppearance, descriptor, group_by_person
from fakedetect_jax.faces.video import open_video
from tests.tiny_dataset import FACE, FIXTURES

ANN, BOB = np.eye(2)


def seen(first, last, descriptor, importance):
    return TrackAppearance(np.arange(first, last), descriptor, importance)


def test_a_person_goes_on_after_a_cut_and_another_does_not():
    tracks = [seen(0, 50, ANN, 9.0), seen(60, 90, BOB, 8.0), seen(100, 120, ANN + 0.3 * BOB, 1.0)]
    assert group_by_person(tracks) == [0, 1, 0]


def test_nobody_is_in_two_places_at_once():
    assert group_by_person([seen(0, 50, ANN, 9.0), seen(49, 80, ANN, 8.0), seen(50, 70, ANN, 1.0)]) == [
        0,
        1,
        0,
    ]


def test_the_most_important_person_is_the_one_with_the_most_over_all_tracks():
    tracks = [seen(0, 50, ANN, 5.0), seen(60, 70, BOB, 4.0), seen(80, 90, BOB, 4.0)]
    assert group_by_person(tracks) == [1, 0, 0]


tracks = st.lists(
    st.builds(
        lambda first, length, angle, importance: seen(
            first, first + length, np.array([np.cos(angle), np.sin(angle)]), importance
        ),
        st.integers(0, 100),
        st.integers(1, 50),
        st.floats(0, 3),
        st.floats(0.1, 100),
    ),
    max_size=8,
)


@given(tracks)
def test_people_are_numbered_by_importance_and_never_overlap(tracks):
    people = group_by_person(tracks)
    assert sorted(set(people)) == list(range(len(set(people))))
    importance = [0.0] * len(set(people))
    for track, person in zip(tracks, people, strict=True):
        importance[person] += track.importance
    assert importance == sorted(importance, reverse=True)
    for (one, left), (other, right) in itertools.combinations(zip(people, tracks, strict=True), 2):
        assert one != other or not set(left.index) & set(right.index)


@pytest.fixture(scope="module")
def faces():
    frames = [frame.image for frame in open_video(FACE).frames]
    return frames, extract_faces(FACE)[0]


def test_a_descriptor_hardly_changes_with_light_and_size_but_with_the_person(faces):
    import cv2

    from fakedetect_jax.faces.warp import apply_affine

    frames, sequence = faces

    def points(place):
        return apply_affine(cv2.invertAffineTransform(sequence.affine[place]), sequence.landmarks[place])

    first = descriptor(frames[0], points(0))
    np.testing.assert_allclose(np.linalg.norm(first), 1, rtol=1e-5)
    darker = np.clip(frames[20] * 0.5 + 10, 0, 255).astype(np.uint8)
    smaller = cv2.resize(frames[20], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    for image, scale in ((frames[20], 1.0), (darker, 1.0), (smaller, 0.6)):
        assert first @ descriptor(image, points(20) * scale) > 0.88
    stranger = next(iter(open_video(FIXTURES / "astronaut.jpg").frames)).image
    (portrait,) = extract_faces(FIXTURES / "astronaut.jpg")
    landmarks = apply_affine(cv2.invertAffineTransform(portrait.affine[0]), portrait.landmarks[0])
    assert first @ descriptor(stranger, landmarks) < 0.85
