import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakedetect_jax.faces.networks import Detections, Mesh
from fakedetect_jax.faces.tracking import MAX_GAP, Tracker, associate, bounding_box, iou

# In frames, 25 a second.
GAP = round(25 * MAX_GAP)

# A mesh in the unit square: level eyes, and its outermost points among the 81.
_TEMPLATE = np.random.default_rng(0).uniform(0.2, 0.8, (468, 2))
for _vertex, _place in {
    10: (0.5, 0),
    152: (0.5, 1),
    234: (0, 0.5),
    454: (1, 0.5),
    33: (0.3, 0.4),
    263: (0.7, 0.4),
}.items():
    _TEMPLATE[_vertex] = _place


class Scene(np.ndarray):
    """Stands for a frame: the boxes that show a face, and the boxes that the detector sees."""

    def __new__(cls, faces, seen):
        frame = np.zeros((1, 1, 3), np.uint8).view(cls)
        frame.faces, frame.seen = faces, seen
        return frame


def detect(scene: Scene) -> Detections:
    box = scene.seen.reshape(-1, 4)
    low, extent = box[:, None, :2], (box[:, 2:] - box[:, :2])[:, None]
    points = low + extent * np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return Detections(box, points, np.ones(len(box)))


def fit(scene: Scene, region) -> Mesh:
    box = scene.faces.reshape(-1, 4)
    distance = np.linalg.norm((box[:, :2] + box[:, 2:]) / 2 - region.centre, axis=1)
    if not len(box) or distance.min() > region.side / 2:
        nothing = region.centre + region.side * (_TEMPLATE - 0.5) / 1.5
        return Mesh(nothing, 0.01)
    near = box[distance.argmin()]
    return Mesh(near[:2] + (near[2:] - near[:2]) * _TEMPLATE, 0.99)


def thumbnail(scene: Scene, mesh: Mesh) -> np.ndarray:
    return np.full((24, 24), 1 / 24)


@st.composite
def histories(draw):
    """Draw, for each object, boxes [frames, 4] and states [frames]: 0 away, 1 there, 2 missed by the detector.

    Objects walk in lanes of their own, stand still while away, and are detected whenever they appear.
    """
    frames = 40
    objects = []
    for lane in range(draw(st.integers(1, 4))):
        side = draw(st.floats(40, 70))
        step = draw(st.floats(-0.3, 0.3)) * side
        states = np.zeros(frames, int)
        at = draw(st.integers(0, 10))
        while at < frames:
            there = draw(st.integers(2, 20))
            states[at : at + there] = 1
            missed = at + 1 + draw(st.integers(0, there))
            states[missed : min(missed + draw(st.integers(0, 4)), at + there)] = 2
            at += there + draw(st.integers(1, 20))
        x = 500 + np.cumsum(np.where(states > 0, step, 0))
        corner = np.stack([x, np.full(frames, 90.0 * lane)], axis=1)
        objects.append((np.concatenate([corner, corner + side], axis=1), states))
    return objects


@given(histories())
@settings(max_examples=25, deadline=None)
def test_tracks_follow_their_objects(objects):
    tracker = Tracker(detect, fit, thumbnail, min_face=20)
    number_of = [None] * len(objects)
    detected = [-1] * len(objects)
    used = set()
    for t in range(40):
        there = [box[t] for box, state in objects if state[t] > 0]
        seen = [box[t] for box, state in objects if state[t] == 1]
        faces = tracker.update(Scene(np.array(there), np.array(seen)), t)
        assert len(faces) == len(there)
        assert len({face.track for face in faces}) == len(faces)
        for which, (box, state) in enumerate(objects):
            if state[t] == 0:
                continue
            mine = [face for face in faces if np.allclose(face.box, box[t], atol=1e-6)]
            assert len(mine) == 1
            if number_of[which] is None or t - 1 - detected[which] > GAP:
                assert mine[0].track not in used
            else:
                assert mine[0].track == number_of[which]
            number_of[which] = mine[0].track
            used.add(mine[0].track)
            if state[t] == 1:
                detected[which] = t


def test_a_track_without_detections_ends():
    tracker = Tracker(detect, fit, thumbnail, min_face=20)
    box = np.array([[100.0, 100, 160, 160]])
    none = np.zeros((0, 4))
    assert len(tracker.update(Scene(box, box), 0)) == 1
    seen = [len(tracker.update(Scene(box, none), t)) for t in range(1, 20)]
    assert seen == [1] * GAP + [0] * (19 - GAP)


def test_a_wide_stride_keeps_the_track():
    tracker = Tracker(detect, fit, thumbnail, min_face=20)
    box = np.array([[100.0, 100, 160, 160]])
    numbers = [face.track for t in range(0, 200, 40) for face in tracker.update(Scene(box, box), t)]
    assert numbers == [0] * 5


def test_reset_starts_new_tracks():
    tracker = Tracker(detect, fit, thumbnail, min_face=20)
    scene = Scene(*[np.array([[100.0, 100, 160, 160]])] * 2)
    first = tracker.update(scene, 0)
    tracker.reset()
    assert [f.track for f in first + tracker.update(scene, 1)] == [0, 1]


def test_another_face_in_the_same_place_is_a_new_track():
    looks = iter([1.0, 0.95, 0.1, 0.1, 1.0])
    side = np.zeros((24, 24))
    side[0, 0] = 1.0

    def turning(scene, mesh):
        cosine = next(looks)
        return cosine * side + np.sqrt(1 - cosine**2) * side[::-1]

    tracker = Tracker(detect, fit, turning, min_face=20)
    scene = Scene(*[np.array([[100.0, 100, 160, 160]])] * 2)
    # The last frame comes after a longer pause, during which a face may turn.
    numbers = [tracker.update(scene, t)[0].track for t in (0, 1, 2, 3, 9)]
    assert numbers == [0, 0, 1, 1, 1]


def test_a_detection_that_is_no_face_makes_no_track():
    tracker = Tracker(detect, fit, thumbnail, min_face=20)
    assert tracker.update(Scene(np.zeros((0, 4)), np.array([[10.0, 10, 90, 90]])), 0) == []


def test_small_faces_wait_until_they_are_large_enough():
    tracker = Tracker(detect, fit, thumbnail, min_face=30)
    sizes = [24, 28, 32, 28, 24]
    seen = []
    for t, size in enumerate(sizes):
        box = np.array([[100.0, 100, 100 + size, 100 + size]])
        seen.append(len(tracker.update(Scene(box, box), t)))
    assert seen == [0, 0, 1, 1, 1]


def test_two_detections_of_one_face_make_one_track():
    tracker = Tracker(detect, fit, thumbnail, min_face=20)
    face = np.array([[100.0, 100, 160, 160]])
    faces = tracker.update(Scene(face, np.concatenate([face, face + 10])), 0)
    assert len(faces) == 1


boxes = st.lists(
    st.tuples(st.floats(0, 200), st.floats(0, 200), st.floats(30, 70), st.floats(30, 70)).map(
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    ),
    max_size=4,
).map(lambda b: np.array(b).reshape(-1, 4))


@given(boxes, boxes)
@settings(deadline=None)
def test_assignment_is_a_best_one(tracks, detections):
    """Compare with every possible assignment, with the rule written out pair by pair."""

    def cost(a, b):
        sides = max(a[2] - a[0], a[3] - a[1]), max(b[2] - b[0], b[3] - b[1])
        away = np.hypot((a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2) / np.mean(sides)
        if away > 0.75 or max(sides) > 2 * min(sides):
            return None
        common = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
        return 1 - common / union + away

    pairs, lost, new = associate(tracks, detections)
    assert sorted([p[0] for p in pairs] + lost) == list(range(len(tracks)))
    assert sorted([p[1] for p in pairs] + new) == list(range(len(detections)))
    costs = [cost(tracks[r], detections[c]) for r, c in pairs]
    assert None not in costs
    best = None
    wide = [*range(len(detections)), *[None] * len(tracks)]
    for choice in set(itertools.permutations(wide, len(tracks))):
        values = [cost(tracks[r], detections[c]) for r, c in enumerate(choice) if c is not None]
        if None not in values:
            key = (-len(values), sum(values))
            best = key if best is None else min(best, key)
    assert (-len(costs), sum(costs)) == pytest.approx(best or (0, 0))


def test_iou_counts_pixels():
    a, b = np.array([[0.0, 0, 10, 6]]), np.array([[4.0, 2, 12, 8], [20, 20, 30, 30]])
    grid = np.zeros((3, 40, 40), bool)
    for mask, box in zip(grid, [*a, *b], strict=True):
        x0, y0, x1, y1 = box.astype(int)
        mask[y0:y1, x0:x1] = True
    want = [(grid[0] & m).sum() / (grid[0] | m).sum() for m in grid[1:]]
    np.testing.assert_allclose(iou(a, b)[0], want)


def test_bounding_box():
    assert bounding_box(np.array([[3.0, 9], [1, 10], [2, 4]])).tolist() == [1, 4, 3, 10]
