"""Each measure against its known value for signals of known jitter, size and blur."""

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.faces.warp import similarity, warp_square
from fakedetect_jax.inspection.quality import (
    MEASURES,
    Quality,
    face_at_source_scale,
    jitter,
    measure,
    sharpness,
    size,
)

WIDTH = 100.0


def face(frames):
    """Return 81 points at rest, the leftmost and rightmost WIDTH apart: [frames, 81, 2]."""
    points = np.random.default_rng(0).uniform(0, WIDTH, (81, 2))
    points[:2, 0] = 0, WIDTH
    return np.tile(points, (frames, 1, 1))


def pink_noise(side, seed=0):
    """Return an image with the spectrum of natural ones: amplitude falls as 1 / frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = np.inf
    image = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) / frequency).real
    return np.clip(128 + 40 * image / image.std(), 0, 255).astype(np.uint8)


def make_record(frames, **changes):
    image = np.repeat(pink_noise(64)[..., None], 3, axis=2)
    record = {
        "frames": [simplejpeg.encode_jpeg(np.ascontiguousarray(image))] * frames,
        "frame_index": np.arange(frames, dtype=np.int32),
        "box": np.tile(np.float32([10, 20, 40, 60]), (frames, 1)),
        "landmarks": (face(frames) * 0.6).astype(np.float32),
        "confidence": np.full(frames, 0.75, np.float32),
        "affine": np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (frames, 1, 1)),
    }
    return record | changes


@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(3, 30))
def test_even_motion_is_no_jitter(dx, dy, frames):
    moving = face(frames) + np.arange(frames)[:, None, None] * np.array([dx, dy])
    assert jitter(moving, np.arange(frames)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_independent_noise_jitters_by_root_six_sigma(sigma):
    points = face(400)
    # The outermost points stay, so that the width is known.
    points[:, 2:] += np.random.default_rng(1).normal(0, sigma, points[:, 2:].shape)
    expected = np.sqrt(6 * sigma**2 * 79 / 81) / WIDTH
    assert jitter(points, np.arange(400)) == pytest.approx(expected, rel=0.02)


def test_jitter_is_a_fraction_of_the_width_whatever_the_scale():
    points = face(20) + np.random.default_rng(1).normal(0, 1, (20, 81, 2))
    assert jitter(3 * points, np.arange(20)) == pytest.approx(jitter(points, np.arange(20)))


def test_gaps_do_not_count_as_motion():
    index = np.array([0, 1, 2, 10, 11, 12])
    points = face(6)
    points[3:] += 50
    assert jitter(points, index) == pytest.approx(0, abs=1e-12)
    assert jitter(points, np.arange(6)) > 0.1


@pytest.mark.parametrize("index", [[0], [0, 1], [0, 2, 4, 6], [0, 1, 3, 4]])
def test_jitter_is_unknown_without_three_consecutive_frames(index):
    assert np.isnan(jitter(face(len(index)), np.array(index)))


def test_jitter_is_unknown_for_a_face_without_width_or_with_nan():
    assert np.isnan(jitter(np.zeros((5, 81, 2)), np.arange(5)))
    broken = face(5)
    broken[2, 7] = np.nan
    assert np.isnan(jitter(broken, np.arange(5)))


def test_size_is_the_median_longer_side():
    box = np.array([[0, 0, 10, 30], [5, 5, 45, 15], [0, 0, 90, 100]], np.float32)
    assert size(box) == 40


def test_sharpness_of_known_patterns():
    row, column = np.indices((64, 64))
    assert sharpness((255 * ((row + column) % 2)).astype(np.uint8)) == pytest.approx(64)
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)
    assert sharpness(noise) == pytest.approx(20, rel=0.05)
    wave = np.round(127 + 120 * np.cos(2 * np.pi * np.indices((256, 256))[1] / 8)).astype(np.uint8)
    assert sharpness(wave) == pytest.approx((2 - 2 * np.cos(2 * np.pi / 8)) ** 2, rel=0.05)


@given(st.floats(0.6, 4), st.integers(0, 5))
def test_a_blurred_copy_is_less_sharp(sigma, seed):
    image = pink_noise(96, seed)
    assert sharpness(cv2.GaussianBlur(image, (0, 0), sigma)) < 0.8 * sharpness(image)


def test_contrast_and_brightness_do_not_count():
    image = pink_noise(128)
    dim = np.round(20 + 0.4 * image).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(image), rel=0.05)


def test_sharpness_is_unknown_of_an_even_or_tiny_face():
    assert np.isnan(sharpness(np.full((20, 20), 7, np.uint8)))
    assert np.isnan(sharpness(pink_noise(7)))


# Interpolating twice costs the finest detail, most of all at small factors.
@pytest.mark.parametrize(("enlarged", "tolerance"), [(1.3, 0.25), (2.3, 0.1), (4.0, 0.05)])
def test_an_enlarged_face_is_as_sharp_as_its_source(enlarged, tolerance):
    source = pink_noise(160)
    affine = similarity(np.array([80.3, 79.6]), 256 / enlarged, 0.0, 256)
    crop = warp_square(np.repeat(source[..., None], 3, axis=2), affine, 256, cv2.INTER_CUBIC)[..., 0]
    landmarks = np.array([[60.0, 60.0], [190.0, 200.0]])
    restored = face_at_source_scale(crop, landmarks, affine)
    low, high = ((point - affine[:, 2]) / enlarged for point in landmarks)
    same = source[int(low[1]) : int(high[1]) + 2, int(low[0]) : int(high[0]) + 2]
    assert abs(np.array(restored.shape) - same.shape).max() <= 1
    assert sharpness(restored) == pytest.approx(sharpness(same), rel=tolerance)
    assert sharpness(crop) < 0.7 * sharpness(same)


def test_a_shrunk_face_is_measured_as_it_is_stored():
    crop = pink_noise(64)
    affine = similarity(np.array([100.0, 100.0]), 200, 0.0, 64)
    inside = face_at_source_scale(crop, np.array([[10.0, 20.0], [29.5, 49.0]]), affine)
    np.testing.assert_array_equal(inside, crop[20:50, 10:31])


def test_a_track_is_measured_as_its_parts():
    record = make_record(9)
    quality = measure(record)
    assert quality.confidence == 0.75
    assert quality.size == 40
    assert quality.jitter == 0
    grey = simplejpeg.decode_jpeg(record["frames"][0], colorspace="GRAY")[..., 0]
    low, high = record["landmarks"][0].min(0), record["landmarks"][0].max(0)
    cut = grey[int(low[1]) : int(np.ceil(high[1])) + 1, int(low[0]) : int(np.ceil(high[0])) + 1]
    assert quality.sharpness == pytest.approx(sharpness(cut))


def test_a_track_of_one_frame_has_all_but_jitter():
    quality = measure(make_record(1))
    assert np.isnan(quality.jitter)
    assert not np.isnan([quality.confidence, quality.size, quality.sharpness]).any()


def test_at_most_four_frames_are_decoded(monkeypatch):
    decode, decoded = simplejpeg.decode_jpeg, []
    monkeypatch.setattr(
        simplejpeg, "decode_jpeg", lambda file, **options: decoded.append(1) or decode(file, **options)
    )
    measure(make_record(50))
    assert 1 <= len(decoded) <= 4


def test_every_figure_is_explained_and_written_with_its_unit():
    assert tuple(measure.name for measure in MEASURES) == Quality._fields
    written = [measure.write(value) for measure, value in zip(MEASURES, (0.5, 99.6, 0.0123, 2), strict=True)]
    assert written == ["0.500", "100 px", "1.23 %", "2.000"]
    assert {measure.write(float("nan")) for measure in MEASURES} == {"–"}
