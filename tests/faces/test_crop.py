import io

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakedetect_jax.faces import crop, warp

coordinate = st.floats(-500, 4000)
side = st.floats(8, 2000)


@given(coordinate, coordinate, side, st.floats(0, 1), st.integers(16, 512))
@settings(deadline=None)
def test_crop_affine_is_a_square_that_holds_the_face(x, y, side, margin, size):
    centre = np.array([x, y])
    affine = crop.crop_affine(centre, side, size=size, margin=margin)
    np.testing.assert_allclose(affine[:, :2], np.eye(2) * size / ((1 + 2 * margin) * side), rtol=1e-9)
    corners = centre + side * np.array([[-0.5, -0.5], [0.5, 0.5]])
    inside = warp.apply_affine(affine, corners)
    edge = size * margin / (1 + 2 * margin)
    np.testing.assert_allclose(inside, [[edge - 0.5] * 2, [size - edge - 0.5] * 2], atol=1e-6 * size)
    inverse = cv2.invertAffineTransform(affine)
    np.testing.assert_allclose(warp.apply_affine(inverse, inside), corners, atol=1e-6)


@given(coordinate, coordinate, side, st.floats(-np.pi, np.pi))
@settings(deadline=None)
def test_similarity_levels_the_window(x, y, side, angle):
    centre = np.array([x, y])
    right = centre + side / 2 * np.array([np.cos(angle), np.sin(angle)])
    got = warp.apply_affine(warp.similarity(centre, side, angle, 192), np.array([centre, right]))
    np.testing.assert_allclose(got, [[95.5, 95.5], [191.5, 95.5]], atol=1e-6)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_shrinking_is_aligned_and_antialiased(factor):
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 255, (60 * factor, 60 * factor, 3)).astype(np.uint8)
    affine = warp.similarity(np.full(2, 30 * factor - 0.5), 60 * factor, 0.0, 60)
    got = warp.warp_square(noise, affine, 60, cv2.INTER_CUBIC).astype(float)
    area = noise.reshape(60, factor, 60, factor, 3).mean(axis=(1, 3))
    # White noise is the worst case; plain sampling would keep its full spread and lose the likeness.
    assert got.std() == pytest.approx(area.std(), rel=0.35)
    shifts = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    likeness = [
        np.corrcoef(np.roll(got, s, (0, 1))[2:-2, 2:-2].ravel(), area[2:-2, 2:-2].ravel())[0, 1]
        for s in shifts
    ]
    assert shifts[int(np.argmax(likeness))] == (0, 0)
    assert max(likeness) > 0.85


@pytest.mark.parametrize("shrink", [0.5, 1.0, 1.7, 4.0, 5.7])
def test_a_ramp_stays_where_it_is(shrink):
    """A linear image shows positions to a fraction of a pixel, even if windows are not whole pixels."""
    x, y = np.meshgrid(np.arange(250), np.arange(250))
    # Floats, because rounding to whole levels would round to whole pixels.
    ramp = np.stack([x, y, x], axis=-1).astype(np.float32)
    affine = warp.similarity(np.array([120.3, 131.7]), 40 * shrink, 0.0, 40)
    got = warp.warp_square(ramp, affine, 40, cv2.INTER_CUBIC)[..., :2].reshape(-1, 2)
    columns, rows = np.meshgrid(np.arange(40), np.arange(40))
    want = warp.apply_affine(
        cv2.invertAffineTransform(affine), np.column_stack([columns.ravel(), rows.ravel()]).astype(float)
    )
    np.testing.assert_allclose(got, want, atol=1.1)
    assert abs((got - want).mean()) < 0.1


def test_outside_the_frame_is_black():
    white = np.full((50, 50, 3), 255, np.uint8)
    for side in (20, 300):
        far = warp.warp_square(
            white, warp.similarity(np.array([900.0, 900.0]), side, 0.0, 32), 32, cv2.INTER_CUBIC
        )
        assert far.max() == 0


@given(
    st.floats(-5, 5),
    st.floats(-5, 5),
    st.floats(-0.02, 0.02),
    st.sets(st.integers(0, 40), min_size=2, max_size=20),
)
@settings(deadline=None)
def test_smoothing_does_not_lag_steady_motion(vx, vy, growth, kept):
    """A centre on a line and a side that grows exponentially pass exactly, even at ends and gaps."""
    index = np.array(sorted(kept))
    centre = np.array([300.0, 200.0]) + index[:, None] * [vx, vy]
    width = 80 * np.exp(growth * index)
    box = np.concatenate([centre - width[:, None] / [2, 4], centre + width[:, None] / [2, 4]], axis=1)
    for position, at in enumerate(index):
        got_centre, got_side = crop.smooth_window(index / 25, box, at=at / 25)
        np.testing.assert_allclose(got_centre, centre[position], atol=1e-6)
        assert got_side == pytest.approx(width[position], rel=1e-9)


@pytest.mark.parametrize("rate", [24000 / 1001, 30, 50, 60, 120])
def test_a_video_is_smoothed_alike_at_any_number_of_frames_a_second(rate):
    """A head that nods three times a second: what is left in the window, at equal times."""

    def smoothed(fps):
        time = np.arange(0, 2, 1 / fps)
        centre = np.stack([np.full_like(time, 300), 200 + 10 * np.sin(6 * np.pi * time)], axis=1)
        box = np.concatenate([centre - 50, centre + 50], axis=1)
        heights = [crop.smooth_window(time, box, at=at)[0][1] for at in time]
        return np.interp(np.arange(0.4, 1.6, 0.01), time, heights)

    expected = smoothed(25)
    assert 1 < np.ptp(expected) / 2 < 9
    np.testing.assert_allclose(smoothed(rate), expected, atol=0.6)


def test_smoothing_removes_jitter():
    rng = np.random.default_rng(1)
    index = np.arange(200)
    box = np.tile([100.0, 100.0, 180.0, 200.0], (200, 1)) + rng.normal(0, 2, (200, 4))
    smooth = np.array([np.append(*crop.smooth_window(index / 25, box, at=i / 25)) for i in index])
    raw_step = np.abs(np.diff((box[:, :2] + box[:, 2:]) / 2, axis=0)).mean()
    assert np.abs(np.diff(smooth[:, :2], axis=0)).mean() < 0.2 * raw_step


def test_crops_are_jpeg_without_chroma_subsampling():
    rng = np.random.default_rng(2)
    image = cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3), np.uint8), (0, 0), 2)
    picture = PIL.Image.open(io.BytesIO(crop.encode(image, 95)))
    assert picture.format == "JPEG"
    assert [component[1:3] for component in picture.layer] == [(1, 1)] * 3
    # Annex K's luminance table begins with 16: quality 95 scales it by 0.1.
    assert picture.quantization[0][0] == 2
    assert cv2.PSNR(np.array(picture)[..., ::-1].copy(), image) > 38
