"""Each stage against OpenCV, Pillow, colorsys, libjpeg or a closed form."""

import colorsys
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from fakedetect_jax.augment.crop import mirror_landmarks
from fakedetect_jax.augment.hull import HULLS, MOST_PARTS, hull_depth, hull_support, parts_of
from fakedetect_jax.augment.jpeg import jpeg
from fakedetect_jax.augment.mask import erode, soften
from fakedetect_jax.augment.photometric import (
    Photometric,
    apply_photometric,
    hsv_to_rgb,
    rgb_to_hsv,
    sharpen,
    shift_hsv,
)
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.resampling import (
    KNOTS,
    Sampling,
    _by_matrices,
    _by_tiles,
    apply_separable,
    blur_matrix,
    degraded_grid,
    elastic_displacement,
    interpolation_matrix,
    plain_sampling,
    resample_frames,
)
from fakedetect_jax.faces.landmarks import LANDMARKS, MIRROR_ORDER

RNG = np.random.default_rng(7)


def as_planes(image):
    return jnp.asarray(np.moveaxis(image, -1, 0))


@pytest.mark.parametrize("target", [40, 112])
def test_shrinking_agrees_with_pillow(target):
    signal = RNG.random((100, 256)).astype(np.float32)
    left, side = 31.0, 180.0
    step = side / target
    positions = left - 0.5 + (jnp.arange(target) + 0.5) * step
    ours = signal @ np.asarray(interpolation_matrix(positions, 256, step=step)).T
    theirs = Image.fromarray(signal).resize(
        (target, 100), Image.Resampling.BILINEAR, box=(left, 0, left + side, 100)
    )
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=2e-5)


def test_enlarging_agrees_with_opencv():
    signal = RNG.random((9, 40)).astype(np.float32)
    positions = (jnp.arange(100) + 0.5) * 0.4 - 0.5
    ours = signal @ np.asarray(interpolation_matrix(positions, 40, step=0.4)).T
    np.testing.assert_allclose(ours, cv2.resize(signal, (100, 9), interpolation=cv2.INTER_LINEAR), atol=1e-5)


def degradation(size, factor):
    grid, shares = degraded_grid(size, factor)
    return sum(
        share[:, None] * interpolation_matrix(line, size) for line, share in zip(grid, shares, strict=True)
    )


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_degradation_agrees_with_opencv(factor):
    image = RNG.random((64, 64)).astype(np.float32)
    small = cv2.resize(image, (64 // factor, 64 // factor), interpolation=cv2.INTER_NEAREST)
    expected = cv2.resize(small, (64, 64), interpolation=cv2.INTER_LINEAR)
    matrix = degradation(64, float(factor))
    np.testing.assert_allclose(apply_separable(matrix, matrix, jnp.asarray(image)), expected, atol=1e-5)


def test_degradation_between_the_integers_keeps_a_constant():
    matrix = degradation(112, 2.83)
    np.testing.assert_allclose(np.asarray(matrix).sum(axis=1), 1.0, atol=1e-6)
    assert np.linalg.matrix_rank(np.asarray(matrix)) == int(112 / 2.83)


@pytest.mark.parametrize(("length", "outputs"), [(90, 80), (17, 33), (64, 40), (3, 1)])
@pytest.mark.parametrize("spread", [0.0, 6.0])
def test_tiles_give_what_matrices_give(length, outputs, spread):
    matrices = jax.jit(_by_matrices)
    tiles = jax.jit(functools.partial(_by_tiles, spread=spread))
    rng = np.random.default_rng(length)
    for start, share, mirrored in (
        (-20.0, 0.7, False),
        (0.0, 1.0, True),
        (9.0, 0.3, True),
        (50.0, 0.05, False),
    ):
        step = share * length / outputs
        positions = start + step * np.arange(outputs)
        lines = np.stack([positions, positions + spread * step * rng.uniform(-1, 1, outputs)])
        lines = lines[:, ::-1] if mirrored else lines
        shares = rng.random((2, outputs))
        shares = (shares / shares.sum(axis=0)).astype(np.float32)
        step = np.float32(min(step, max(1.0, 0.75 * length / outputs)))
        rows = Sampling(lines.astype(np.float32), shares, step)
        frames = rng.random((2, length, 5, 3)).astype(np.float32)
        columns = plain_sampling(jnp.arange(5.0))
        expected = matrices(rows, columns, frames)
        np.testing.assert_allclose(tiles(rows, columns, frames), expected, atol=2e-6)


def test_each_frame_may_have_its_own_sampling():
    frames = RNG.random((3, 40, 30, 3)).astype(np.float32)
    lines = np.arange(20.0)[None] + np.arange(3.0)[:, None]
    rows = plain_sampling(jnp.asarray(lines, jnp.float32), jnp.ones(3))
    together = resample_frames(rows, plain_sampling(jnp.arange(30.0)), frames)
    assert together.shape == (3, 3, 20, 30)
    for t in range(3):
        np.testing.assert_allclose(np.moveaxis(together[:, t], 0, -1), frames[t, t : t + 20], atol=1e-6)


@pytest.mark.parametrize(("kernel", "sigma"), [(5, 1), (25, 4), (11, 5), (25, 45)])
def test_blur_agrees_with_opencv_away_from_the_border(kernel, sigma):
    image = RNG.random((80, 80)).astype(np.float32)
    radius = kernel // 2
    matrix = blur_matrix(jnp.arange(80.0), 80, sigma=sigma, radius=radius)
    ours = np.asarray(apply_separable(matrix, matrix, jnp.asarray(image)))
    expected = cv2.GaussianBlur(image, (kernel, kernel), sigma)
    inner = slice(radius, -radius)
    np.testing.assert_allclose(ours[inner, inner], expected[inner, inner], atol=1e-5)


def test_blurring_between_pixels_is_blurring_a_shifted_signal():
    signal = np.sin(np.arange(60) / 5.0)
    between = blur_matrix(jnp.arange(20.0, 40.0) + 0.4, 60, sigma=3.0, radius=9.0) @ signal
    shifted = blur_matrix(jnp.arange(20.0, 40.0), 60, sigma=3.0, radius=9.0) @ np.sin(
        (np.arange(60) + 0.4) / 5.0
    )
    np.testing.assert_allclose(between, shifted, atol=2e-3)


def opencv_hull(points, hull, width):
    """Return the union of a hull's parts, and the signed distance to its edge."""
    mask = np.zeros((256, 256), np.uint8)
    for spans in hull.parts:
        member = np.concatenate([points[a:b] for a, b in spans])
        # Minkowski sum with a disc: many points around each member.
        angle = np.linspace(0, 2 * np.pi, 256, endpoint=False)
        disc = hull.growth * width * np.stack([np.cos(angle), np.sin(angle)], -1)
        polygon = cv2.convexHull((member[:, None] + disc).reshape(-1, 2).astype(np.float32))
        cv2.fillConvexPoly(mask, np.round(polygon * 16).astype(np.int32), 1, shift=4)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return mask, distance


def lift_brows(points):
    """Raise the brows by half their distance to the line of the eyes."""
    out = points.copy()
    eye_line = {
        17: 0.75 * points[36] + 0.25 * points[0],
        **{18 + i: points[36 + i] for i in range(4)},
        **{22 + i: points[42 + i] for i in range(4)},
        26: 0.75 * points[45] + 0.25 * points[16],
    }
    for brow, below in eye_line.items():
        out[brow] = points[brow] + 0.5 * (points[brow] - below)
    return out


def coverage(depth):
    return np.clip(np.asarray(depth) + 0.5, 0.0, 1.0)


@pytest.mark.parametrize("kind", list(HULLS))
def test_hull_agrees_with_opencv(clip, kind):
    landmarks = clip[1]
    hull = HULLS[kind]
    one_hot = jnp.array([float(name == kind) for name in HULLS])
    x, y = np.meshgrid(np.arange(256.0, dtype=np.float32), np.arange(256.0, dtype=np.float32))
    width = 140.0
    support = hull_support(
        jnp.asarray(landmarks), one_hot, face_width=width, parts=parts_of(one_hot.tolist())
    )
    assert support.shape[1] == len(hull.parts)
    for points, mask in zip(landmarks, coverage(hull_depth(support, x, y)), strict=True):
        expected, distance = opencv_hull(lift_brows(points) if kind == "extended" else points, hull, width)
        assert abs(mask.sum() - expected.sum()) < 0.03 * expected.sum()
        assert mask[distance > 1.5].min() == 1.0
        assert mask[distance < -3.5].max() == 0.0


def test_parts_that_are_not_drawn_change_nothing(clip):
    one_hot = jnp.array([float(name == "mouth") for name in HULLS])
    x, y = np.meshgrid(np.arange(256.0, dtype=np.float32), np.arange(256.0, dtype=np.float32))
    masks = [
        hull_depth(hull_support(jnp.asarray(clip[1]), one_hot, face_width=140.0, parts=parts), x, y)
        for parts in (1, MOST_PARTS)
    ]
    np.testing.assert_array_equal(*masks)


def test_erosion_by_whole_pixels_is_scipys():
    depth = scipy.ndimage.gaussian_filter(RNG.normal(size=(3, 60, 50)), (0, 5, 5)).astype(np.float32) * 40
    for x, y in [(0, 0), (1, 3), (6, 2)]:
        ours = erode(jnp.asarray(depth), jnp.array([x, y], jnp.float32), reach=7)
        expected = scipy.ndimage.grey_erosion(depth, size=(1, 2 * y + 1, 2 * x + 1), mode="nearest")
        assert expected.max(axis=(1, 2)).min() > 0.5
        np.testing.assert_allclose(ours, coverage(expected), atol=1e-6)


def test_erosion_by_a_part_of_a_pixel_moves_the_edge_by_it():
    x, y = np.meshgrid(np.arange(50.0), np.arange(60.0))
    depth = np.minimum.reduce([x - 10.2, 40.7 - x, y - 5.0, 49.5 - y])[None]
    expected = np.minimum.reduce([x - 13.5, 37.4 - x, y - 6.25, 48.25 - y])
    ours = erode(jnp.asarray(depth, jnp.float32), jnp.array([3.3, 1.25]), reach=4)[0]
    # Corners between pixels are interpolated, edges are exact.
    np.testing.assert_allclose(ours[20:40], coverage(expected)[20:40], atol=1e-5)
    np.testing.assert_allclose(ours[:, 20:30], coverage(expected)[:, 20:30], atol=1e-5)


def test_of_a_mask_that_erosion_takes_whole_its_deepest_spot_is_left():
    x, y = np.meshgrid(np.arange(50.0), np.arange(60.0))
    depth = 4.0 - np.hypot(x - 20, y - 30)[None]
    left = np.asarray(erode(jnp.asarray(depth, jnp.float32), jnp.array([8.0, 8.0]), reach=9)[0])
    assert left[30, 20] == left.max() == 1.0
    assert left.sum() < 4.0


@pytest.mark.parametrize("seed", range(6))
def test_rounding_does_not_move_a_softened_mask(seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:166, :166]
    width, height = rng.uniform(8, 60, 2)
    ellipse = 30.0 - np.hypot((columns - 83) / width, (rows - 80) / height) * 30
    inputs = rng.random(5), ellipse[None], np.linspace(20, 140, 64), np.array([70.0, 90.0])

    def softened(dtype):
        draws, mask, positions, face = (value.astype(dtype) for value in inputs)
        recipe = SelfBlendRecipe()
        return np.asarray(jax.jit(lambda m: soften(draws, m, positions, face=face, recipe=recipe))(mask))

    narrow = softened(np.float32)
    with jax.enable_x64(True):
        wide = softened(np.float64)
    assert (narrow.dtype, wide.dtype) == (np.float32, np.float64)
    assert wide.max() > 0.99
    np.testing.assert_allclose(narrow, wide, atol=3e-6)


@pytest.mark.parametrize("deepest", [-3.0, 1e-4 - 0.5])
def test_a_mask_that_covers_no_pixel_stays_nothing(deepest):
    depth = np.full((1, 166, 166), -5.0, np.float32)
    depth[0, 80, 80] = deepest
    soft = soften(
        RNG.random(5).astype(np.float32),
        jnp.asarray(depth),
        np.linspace(20, 140, 64).astype(np.float32),
        face=np.array([70.0, 90.0], np.float32),
        recipe=SelfBlendRecipe(),
    )
    np.testing.assert_array_equal(soft, 0)


def test_elastic_has_the_spread_and_smoothness_of_the_classical_transform():
    alpha, sigma = 50.0, 7.0
    ours, theirs = [], []
    for _ in range(20):
        noise = RNG.normal(size=(2, KNOTS, KNOTS)).astype(np.float32)
        ours += list(elastic_displacement(jnp.asarray(noise), size=128, alpha=alpha, sigma=sigma))
        raw = RNG.uniform(-1, 1, (200, 200)).astype(np.float32)
        theirs.append(alpha * cv2.GaussianBlur(raw, (0, 0), sigma)[36:-36, 36:-36])
    ours, theirs = np.stack(ours), np.stack(theirs)
    assert abs(ours.std() / (alpha / (np.sqrt(12 * np.pi) * sigma)) - 1) < 0.05
    for lag in (3, 7, 14):
        expected = np.exp(-(lag**2) / (4 * sigma**2))
        for field, tolerance in ((ours, 0.05), (theirs, 0.08)):
            assert abs((field[:, :, lag:] * field[:, :, :-lag]).mean() / field.var() - expected) < tolerance


def test_flipping_twice_is_the_identity_and_pairs_left_with_right(clip):
    landmarks = jnp.asarray(clip[1])
    twice = mirror_landmarks(mirror_landmarks(landmarks, width=256), width=256)
    np.testing.assert_allclose(twice, landmarks, atol=1e-4)
    # A symmetric face about the middle is its own mirror image: every index has the right partner.
    symmetric = (landmarks[0] - jnp.array([128.0, 0.0]) + jnp.array([127.5, 0.0]))[None]
    np.testing.assert_allclose(mirror_landmarks(symmetric, width=256), symmetric, atol=1e-3)
    assert sorted(MIRROR_ORDER) == list(range(LANDMARKS))


def test_hsv_agrees_with_colorsys():
    pixels = RNG.random((500, 3)).astype(np.float32)
    pixels[:20] = pixels[:20, :1]
    pixels[20:40, 1] = pixels[20:40, 0]
    pixels[40] = 0.0
    hsv = np.stack(rgb_to_hsv(jnp.asarray(pixels.T)), -1)
    expected = np.array([colorsys.rgb_to_hsv(*p) for p in pixels.astype(np.float64)])
    np.testing.assert_allclose(hsv, expected, atol=1e-5)
    hue, saturation, value = RNG.uniform(-1, 2, 500), RNG.random(500), RNG.random(500)
    back = np.array(
        [colorsys.hsv_to_rgb(h % 1.0, s, v) for h, s, v in zip(hue, saturation, value, strict=True)]
    )
    ours = hsv_to_rgb(*(jnp.asarray(v, jnp.float32) for v in (hue, saturation, value)))
    np.testing.assert_allclose(ours.T, back, atol=1e-5)


def test_a_grey_pixel_stays_grey():
    grey = jnp.full((3, 4, 4), 0.4)
    shifted = np.asarray(shift_hsv(grey, hue=0.3, saturation=0.9, value=0.1))
    np.testing.assert_allclose(shifted, 0.44, atol=1e-6)


def test_photometric_agrees_with_numpy(clip):
    image = clip[0][0]
    strengths = Photometric(jnp.array([0.05, -0.07, 0.01]), 0.0, 0.0, 0.0, 0.08, -0.2)
    expected = np.clip(np.clip(image + np.array([0.05, -0.07, 0.01]), 0, 1) * 0.8 + 0.08, 0, 1)
    np.testing.assert_allclose(
        np.moveaxis(apply_photometric(as_planes(image), strengths), 0, -1), expected, atol=1e-5
    )
    nothing = Photometric(jnp.zeros(3), 0.0, 0.0, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(apply_photometric(as_planes(image), nothing), as_planes(image), atol=1e-6)


def test_sharpening_agrees_with_opencv():
    image = RNG.random((30, 40, 3)).astype(np.float32)
    alpha, lightness = 0.35, 0.7
    kernel = np.full((3, 3), -1.0)
    kernel[1, 1] = 8 + lightness
    kernel = alpha * kernel + (1 - alpha) * np.pad([[1.0]], 1)
    expected = np.clip(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), 0, 1)
    ours = sharpen(as_planes(image), alpha=alpha, lightness=lightness)
    np.testing.assert_allclose(np.moveaxis(ours, 0, -1), expected, atol=1e-5)
    np.testing.assert_allclose(
        sharpen(as_planes(image), alpha=0.0, lightness=0.7), as_planes(image), atol=1e-6
    )


@pytest.mark.parametrize(("quality", "size"), [(40, 112), (49, 112), (75, 100), (100, 112)])
def test_jpeg_agrees_with_libjpeg(clip, quality, size):
    image = cv2.resize(clip[0][0], (size, size), interpolation=cv2.INTER_AREA)
    image = np.clip(image + 0.03 * RNG.normal(size=image.shape), 0, 1)
    byte = np.round(image * 255).astype(np.uint8)
    _, code = cv2.imencode(".jpg", byte[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    theirs = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)
    ours = np.asarray(jpeg(as_planes(byte / np.float32(255))[:, None], quality=float(quality)))
    ours = np.moveaxis(ours[:, 0], 0, -1) * 255
    assert np.abs(ours - theirs).mean() < 1.5
    if quality < 100:
        # The two results are far nearer to each other than to the image.
        assert np.abs(ours - theirs).mean() < 0.5 * np.abs(byte - theirs).mean()
