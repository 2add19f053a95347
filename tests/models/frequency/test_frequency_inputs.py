"""What the branches put before their conv nets, against numpy, scipy and OpenCV."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from fakedetect_jax.models.clip import IMAGENET, levels_of
from fakedetect_jax.models.frequency.band_dct import BandDCTBranch, BandSplit, bands
from fakedetect_jax.models.frequency.high_pass import CLIP, FILTERS, residuals
from fakedetect_jax.models.frequency.local_statistics import (
    LocalStatistics,
    diagonal_bands,
    window_transforms,
)
from fakedetect_jax.models.frequency.phase import phase_only
from fakedetect_jax.models.frequency.transforms import dct_matrix

SIZES = [(8, 8), (7, 10), (10, 7)]


def _images(size, n=2):
    return np.random.default_rng(0).normal(size=(n, *size, 3)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_phase_picture_equals_numpy(size):
    images = _images(size)
    spectrum = np.fft.fft2(images.astype(np.float64).mean(axis=-1))
    expected = np.fft.ifft2(np.exp(1j * np.angle(spectrum)))
    assert abs(expected.imag).max() < 1e-12
    got = phase_only(jnp.asarray(images))
    np.testing.assert_allclose(got[..., 0], expected.real * np.sqrt(np.prod(size)), atol=1e-5)
    np.testing.assert_allclose(np.square(got).mean(axis=(1, 2)), 1, atol=1e-5)


def test_phase_picture_is_blind_to_contrast_and_has_no_noise_of_its_own():
    images = jnp.asarray(_images((12, 12)))
    np.testing.assert_allclose(phase_only(images), phase_only(3 * images), atol=1e-4)
    # Of a flat picture only the mean has a phase; what rounding leaves at other frequencies has none.
    flat = phase_only(jnp.full((1, 24, 24, 3), 0.7))
    np.testing.assert_allclose(flat, np.full((1, 24, 24, 1), 1 / 24), atol=1e-3)
    gradient = jax.grad(lambda x: phase_only(x)[0, 0, 0, 0])(jnp.zeros((1, 6, 6, 3)))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("size", [1, 2, 7, 10])
def test_cosine_matrix_equals_scipy(size):
    expected = scipy.fft.dct(np.eye(size), norm="ortho", axis=0)
    np.testing.assert_allclose(dct_matrix(size), expected, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_bands_equal_scipy(size):
    images = _images(size)
    mask = np.random.default_rng(1).normal(size=(4, *size)).astype(np.float32)
    spectrum = scipy.fft.dctn(images.astype(np.float64), axes=(1, 2), norm="ortho")
    expected = [
        scipy.fft.idctn(
            spectrum * (band + 2 / (1 + np.exp(-learnt)) - 1)[None, ..., None], axes=(1, 2), norm="ortho"
        )
        for band, learnt in zip(bands(*size), mask, strict=True)
    ]
    got = BandSplit().apply({"params": {"mask": mask}}, jnp.asarray(images))
    np.testing.assert_allclose(got, np.concatenate(expected, axis=-1), atol=1e-5)


def test_bands_part_the_spectrum_where_the_paper_does():
    low, middle, high, everything = bands(299, 299)
    np.testing.assert_array_equal(low + middle + high, everything)
    assert low[0, 0] == 1
    assert [band.mean() for band in (low, middle)] == pytest.approx([1 / 16, 1 / 16], abs=3e-3)
    # By the sum of row and column, as in known implementations.
    total = np.add.outer(np.arange(299), np.arange(299))
    np.testing.assert_array_equal(low, total <= 299 // 2.82)
    np.testing.assert_array_equal(low + middle, total <= 299 // 2)
    # On the border itself, whatever rounding says.
    assert bands(10, 10)[1, 4, 1] == 1
    np.testing.assert_array_equal(bands(20, 10)[:, ::2], bands(10, 10))


def test_the_four_bands_of_the_colours_make_twelve_channels():
    images = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32)
    variables = jax.eval_shape(BandDCTBranch(widths=(8,)).init, jax.random.key(0), images)
    assert variables["params"]["stages"]["stage0"]["kernel"].shape == (3, 3, 12, 8)


@pytest.mark.parametrize(("window", "stride", "size"), [(10, 2, (15, 22)), (4, 3, (9, 8))])
def test_local_statistics_equal_scipy(window, stride, size):
    images, count = _images(size), 5
    mask = np.random.default_rng(1).normal(size=(window**2, count)).astype(np.float32)
    grey = images.astype(np.float64).mean(axis=-1)
    views = np.lib.stride_tricks.sliding_window_view(grey, (window, window), axis=(1, 2))
    spectra = scipy.fft.dctn(views[:, ::stride, ::stride], axes=(3, 4), norm="ortho")
    spectra = spectra.reshape((*spectra.shape[:3], -1))
    ours = window_transforms(jnp.asarray(grey[..., None], jnp.float32), window, stride)
    np.testing.assert_allclose(ours, spectra, atol=1e-5)
    filters = diagonal_bands(window, count) + np.tanh(mask.astype(np.float64) / 2)
    expected = np.stack(
        [np.log10(np.abs(spectra * filters[:, i]).sum(axis=-1) + 1e-3) for i in range(count)], axis=-1
    )
    got = LocalStatistics(window, stride, count).apply({"params": {"mask": mask}}, jnp.asarray(images))
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_diagonals_are_dealt_out_evenly():
    dealt = diagonal_bands(10, 6).reshape(10, 10, 6)
    np.testing.assert_array_equal(dealt.sum(axis=-1), 1)
    first_row_and_last_column = np.concatenate([dealt[0], dealt[1:, -1]])
    np.testing.assert_array_equal(first_row_and_last_column.sum(axis=0), [4, 3, 3, 3, 3, 3])
    assert (np.diff(first_row_and_last_column.argmax(axis=-1)) >= 0).all()
    np.testing.assert_array_equal(dealt, dealt.transpose(1, 0, 2))


def test_residuals_equal_opencv():
    # Levels of 8 bits with grain that leaves some residuals within the clipping and some beyond.
    rng = np.random.default_rng(0)
    levels = cv2.GaussianBlur(rng.integers(0, 256, (20, 17, 3)).astype(np.uint8), (5, 5), 1.5)
    levels = np.clip(levels + rng.normal(0, 2, levels.shape), 0, 255).round()
    std = np.array([0.226, 0.226, 0.226])
    normalised = (levels / 255 - np.array([0.485, 0.456, 0.406])) / std
    got = np.asarray(residuals(jnp.asarray(normalised[None], jnp.float32), levels_of(IMAGENET)))[0]
    for index, kernel in enumerate(FILTERS):
        found = cv2.filter2D(levels.astype(np.float64), -1, kernel.astype(np.float64))
        expected = np.clip(found, -CLIP, CLIP)
        assert 0.1 < (abs(expected) < CLIP).mean() < 0.95
        np.testing.assert_allclose(got[..., 3 * index : 3 * index + 3], expected, atol=1e-3)


def test_filters_are_those_of_the_rich_model():
    kb, kv, horizontal = FILTERS
    np.testing.assert_allclose(4 * kb[1:4, 1:4], [[-1, 2, -1], [2, -4, 2], [-1, 2, -1]])
    np.testing.assert_allclose(12 * kv[2], [-2, 8, -12, 8, -2])
    np.testing.assert_allclose(2 * horizontal[2], [0, 1, -2, 1, 0])
    for kernel, nonzero in ((kb, 9), (kv, 25), (horizontal, 3)):
        assert (kernel != 0).sum() == nonzero
        # Blind to any picture that rises evenly; the pixel itself counts as -1.
        rows, columns = np.mgrid[-2:3, -2:3]
        assert [(kernel * x).sum() for x in (1, rows, columns)] == pytest.approx([0, 0, 0], abs=1e-6)
        assert kernel[2, 2] == -1
        np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])


def test_edges_leave_no_residual_on_a_flat_picture():
    np.testing.assert_allclose(
        residuals(jnp.full((1, 9, 9, 3), 1.7), 57.6), np.zeros((1, 9, 9, 9)), atol=1e-3
    )
