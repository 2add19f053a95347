import weakref

import cv2
import numpy as np
import pytest

from fakedetect_jax.faces import FrameChoice, VideoError, extract_faces
from fakedetect_jax.faces.crop import LAG, Cropper
from fakedetect_jax.faces.sequence import FaceSequence
from fakedetect_jax.faces.tracking import Face
from fakedetect_jax.faces.video import Frame
from fakedetect_jax.faces.warp import apply_affine


def beside(man_frame, portrait, shift=0):
    """Show the man at the left, and a smaller portrait at the right that moves with `shift`."""
    canvas = np.full((240, 480, 3), 90, np.uint8)
    canvas[30:210, :200] = man_frame[:, 60:260]
    canvas[60:188, 280 + shift : 408 + shift] = cv2.resize(portrait, (128, 128), interpolation=cv2.INTER_AREA)
    return canvas


def empty_scene(index):
    """Show drifting blobs of colour."""
    rng = np.random.default_rng(5)
    canvas = np.full((180, 320, 3), 60, np.uint8)
    for _ in range(12):
        x, y, r, *colour = rng.integers([0, 0, 10, 0, 0, 0], [320, 180, 50, 255, 255, 255]).tolist()
        cv2.circle(canvas, (x + 3 * index, y), r, colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(canvas, (0, 0), 3)


@pytest.fixture(scope="module")
def sequence(clip_path) -> FaceSequence:
    (only,) = extract_faces(clip_path)
    return only


def test_a_real_clip(sequence, man):
    assert (sequence.track, len(sequence), sequence.frame_size) == (0, 24, (180, 320))
    assert sequence.frame_index.tolist() == list(range(24))
    np.testing.assert_allclose(sequence.timestamp, np.arange(24) / sequence.fps, atol=2e-3)
    assert sequence.confidence.min() > 0.9
    for t in range(0, 24, 5):
        # The affine maps the crop back to the frame.
        back = cv2.warpAffine(
            cv2.cvtColor(sequence.decode(t), cv2.COLOR_RGB2BGR),
            sequence.affine[t],
            (320, 180),
            flags=cv2.WARP_INVERSE_MAP,
        )
        x0, y0, x1, y1 = sequence.box[t].astype(int)
        assert cv2.PSNR(back[y0:y1, x0:x1].copy(), man[t][y0:y1, x0:x1].copy()) > 35


def test_landmarks_boxes_and_affines_agree(sequence):
    for landmarks, box, affine in zip(sequence.landmarks, sequence.box, sequence.affine, strict=True):
        source = apply_affine(cv2.invertAffineTransform(affine), landmarks)
        np.testing.assert_allclose([*source.min(0), *source.max(0)], box, atol=1e-2)
        extent = landmarks.max(0) - landmarks.min(0)
        assert extent.max() == pytest.approx(256 / 1.6, rel=0.05)
        middle = (landmarks.max(0) + landmarks.min(0)) / 2
        np.testing.assert_allclose(middle, 127.5, atol=6)


def test_crops_are_steadier_than_boxes(sequence):
    centre = [
        apply_affine(cv2.invertAffineTransform(a), np.array([[127.5, 127.5]]))[0] for a in sequence.affine
    ]
    boxes = (sequence.box[:, :2] + sequence.box[:, 2:]) / 2
    assert np.abs(np.diff(centre, 2, axis=0)).mean() < 0.5 * np.abs(np.diff(boxes, 2, axis=0)).mean()


def test_the_same_video_gives_the_same_sequences(sequence, clip_path):
    (again,) = extract_faces(clip_path)
    assert again.frames == sequence.frames
    np.testing.assert_array_equal(again.landmarks, sequence.landmarks)


def test_options(clip_path, sequence):
    (got,) = extract_faces(clip_path, size=96, margin=0.5, frames=FrameChoice(every=4), max_frames=18)
    assert got.frame_index.tolist() == [0, 4, 8, 12, 16]
    assert got.decode(0).shape == (96, 96, 3)
    assert np.ptp(got.landmarks[2], axis=0).max() == pytest.approx(96 / 2, rel=0.05)
    np.testing.assert_allclose(got.box[1], sequence.box[4], atol=1)
    assert not list(extract_faces(clip_path, min_face=150))
    assert not list(extract_faces(clip_path, max_frames=5, min_length=6))
    assert len(extract_faces(clip_path, max_frames=5, min_length=5)) == 1


def test_chosen_frames_are_those_of_the_whole_sequence(clip_path, sequence):
    choice = FrameChoice(count=2, run=3, every=2)
    (got,) = extract_faces(clip_path, frames=choice)
    assert got.frame_index.tolist() == choice.positions(24).tolist() == [4, 6, 8, 16, 18, 20]
    assert got.frames == [sequence.frames[place] for place in got.frame_index]
    for name in ("timestamp", "box", "landmarks", "confidence", "affine"):
        np.testing.assert_array_equal(getattr(got, name), getattr(sequence, name)[got.frame_index])


def test_a_spool_changes_nothing(clip_path, sequence, tmp_path):
    (got,) = extract_faces(clip_path, spool=tmp_path)
    assert list(got.frames) == sequence.frames
    assert got.frames[3:5] == sequence.frames[3:5]
    assert got.frames[-1] == sequence.frames[-1]
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(got.decode(7), sequence.decode(7))


def test_detecting_less_often_follows_the_same_face(clip_path, sequence):
    (got,) = extract_faces(clip_path, detect_every=5)
    assert got.frame_index.tolist() == sequence.frame_index.tolist()
    np.testing.assert_allclose(got.box, sequence.box, atol=3)


@pytest.mark.parametrize(
    "option", ["size", "quality", "detect_every", "max_frames", "min_face", "min_length", "margin"]
)
def test_an_option_out_of_range_is_named(clip_path, option):
    with pytest.raises(ValueError, match=f"{option}=-1"):
        extract_faces(clip_path, **{option: -1})


def test_no_face(save):
    assert not list(extract_faces(save("blobs.mp4", [empty_scene(i) for i in range(12)])))


def test_one_frame(save, woman):
    (from_file,) = extract_faces(save("one.mp4", [woman]))
    (from_folder,) = extract_faces(save("one", [woman]))
    for got in (from_file, from_folder):
        assert len(got) == 1
        assert got.affine.shape == (1, 2, 3)
        assert got.decode(0).shape == (256, 256, 3)
    np.testing.assert_allclose(from_file.box, from_folder.box, atol=2)


def test_two_people_who_come_and_go(save, man, woman):
    away = np.full_like(woman, 90)
    frames = [beside(f, woman if 6 <= i < 16 else away, i) for i, f in enumerate(man)]
    first, second = extract_faces(save("two", frames))
    assert first.frame_index.tolist() == list(range(24))
    assert second.frame_index.tolist() == list(range(6, 16))
    assert (first.track, second.track) == (0, 1)
    assert first.box[:, 2].max() < 220 < 280 < second.box[:, 0].min()
    # The portrait moves by one pixel a frame; so does its smoothed crop.
    steps = np.diff(-second.affine[:, 0, 2] / second.affine[:, 0, 0])
    np.testing.assert_allclose(steps.mean(), 1, atol=0.1)


def test_a_hard_cut_starts_new_tracks(save, man, woman):
    other = cv2.resize(woman[:144], (320, 180))
    sequences = extract_faces(save("cut.mp4", [*man[:8], *[other] * 7, *man[8:14]]))
    spans = sorted((int(s.frame_index[0]), int(s.frame_index[-1])) for s in sequences)
    assert spans == [(0, 7), (8, 14), (15, 20)]


def test_another_person_in_the_same_place_is_a_new_track(save, man, woman):
    """The cut leaves the background unchanged."""
    replaced = [f.copy() for f in man[:12]]
    for f in replaced[5:]:
        f[0:170, 60:230] = cv2.resize(woman, (170, 170))
    spans = [
        (int(s.frame_index[0]), int(s.frame_index[-1])) for s in extract_faces(save("replaced", replaced))
    ]
    assert sorted(spans) == [(0, 4), (5, 11)]


def test_a_face_lost_for_a_moment_leaves_a_gap(save, man):
    covered = [f.copy() for f in man]
    for i in range(8, 12):
        covered[i][40:180, 90:220] = cv2.blur(covered[i], (181, 181))[40:180, 90:220]
    (got,) = extract_faces(save("covered", covered))
    assert got.frame_index.tolist() == [*range(8), *range(12, 24)]


def test_a_face_partly_outside_is_kept(save, man):
    (got,) = extract_faces(save("edge", [f[:, 140:] for f in man[:4]]))
    assert len(got) == 4
    assert got.box[:, 0].max() < 0
    assert got.decode(0)[:, 0].max() < 12


def test_frames_of_another_size_are_another_shot(save, man, woman):
    folder = save("mixed", [*man[:3], woman, woman])
    sizes = sorted((s.frame_size, s.frame_index.tolist()) for s in extract_faces(folder))
    assert sizes == [((180, 320), [0, 1, 2]), ((256, 256), [3, 4])]


def test_errors_reach_the_caller(tmp_path):
    path = tmp_path / "letter.avi"
    path.write_text("Dear all, this is not a video.")
    with pytest.raises(VideoError, match=r"letter\.avi"):
        extract_faces(path)
    assert issubclass(VideoError, ValueError)


@pytest.mark.parametrize("rate", [25, 60])
def test_few_frames_are_held_whatever_the_length(rate):
    images: list[weakref.ref] = []
    cropper = Cropper(size=32, margin=0.3, quality=95)
    face = Face(0, np.random.default_rng(0).uniform(20, 60, (81, 2)), np.array([20.0, 20, 60, 60]), 1.0)

    class Image(np.ndarray):
        pass

    for index in range(100):
        image = np.zeros((80, 80, 3), np.uint8).view(Image)
        images.append(weakref.ref(image))
        cropper.add(Frame(index, index / rate, image), [face])
        del image
        assert sum(ref() is not None for ref in images) <= round(LAG * rate) + 1
    cropper.finish()
    assert len(cropper.tracks[0].frames) == 100


def test_time_stamps_that_hardly_rise_do_not_fill_the_memory():
    cropper = Cropper(size=32, margin=0.3, quality=95)
    images = []
    for index in range(200):
        image = np.zeros((80, 80, 3), np.uint8)
        images.append(weakref.ref(image))
        cropper.add(Frame(index, index * 1e-6, image), [])
        del image
    assert sum(ref() is not None for ref in images) <= 64


def test_a_sequence_checks_its_arrays(sequence):
    with pytest.raises(
        ValueError, match=r"frame_index is int32\[24\]; with 23 frames it must be int32\[23\]"
    ):
        FaceSequence(**{**vars(sequence), "frames": sequence.frames[:-1]})
    # If annotations are checked, they refuse it before the sequence does.
    with pytest.raises((ValueError, TypeError), match="landmarks"):
        FaceSequence(**{**vars(sequence), "landmarks": sequence.landmarks[:, :68]})
