"""The spectrum by matmuls against numpy's fft, and what the filters start as."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax.models.frequency.spectral_filter import FrequencyBranch, SpectralFilter, high_passes
from fakedetect_jax.models.frequency.transforms import irfft2, rfft2

SIZES = [(8, 8), (7, 10), (10, 7), (5, 1)]


def _frames(size, n=2):
    return np.random.default_rng(0).normal(size=(n, *size, 3)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_spectrum_equals_numpy(size):
    frames = _frames(size)
    spectrum = np.asarray(rfft2(jnp.asarray(frames)))
    expected = np.fft.rfft2(frames.astype(np.float64), axes=(1, 2), norm="ortho").transpose(0, 3, 2, 1)
    np.testing.assert_allclose(spectrum[..., 0] + 1j * spectrum[..., 1], expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_inverse_equals_numpy_for_spectra_that_no_real_frame_has(size):
    height, width = size
    shape = (2, 3, width // 2 + 1, height)
    rng = np.random.default_rng(1)
    spectrum = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    expected = np.fft.irfft2(spectrum.transpose(0, 3, 2, 1), s=size, axes=(1, 2), norm="ortho")
    parts = jnp.asarray(np.stack([spectrum.real, spectrum.imag], axis=-1), jnp.float32)
    np.testing.assert_allclose(irfft2(parts, width), expected, atol=1e-5)


def test_filtering_equals_numpy_with_the_same_response():
    frames = _frames((12, 10))
    module = SpectralFilter(filters=2)
    variables = jax.jit(module.init)(jax.random.key(0), frames)
    gain = np.asarray(variables["params"]["gain"], np.float64)
    response = high_passes(12, 10, 2)[:, None] * (1 + gain[..., 0] + 1j * gain[..., 1])
    spectrum = np.fft.rfft2(frames.astype(np.float64), axes=(1, 2))
    filtered = [
        np.fft.irfft2(spectrum * response[i].transpose(2, 1, 0), s=(12, 10), axes=(1, 2)) for i in range(2)
    ]
    np.testing.assert_allclose(
        module.apply(variables, jnp.asarray(frames)), np.concatenate(filtered, -1), atol=1e-4
    )


def test_filters_start_as_high_passes_of_unit_gain_for_natural_images():
    flat = jnp.full((1, 32, 32, 3), 0.7)
    module = SpectralFilter()
    np.testing.assert_allclose(
        module.apply(jax.jit(module.init)(jax.random.key(0), flat), flat), np.zeros((1, 32, 32, 3)), atol=1e-5
    )
    response = high_passes(64, 64, 3)
    assert (np.diff(response[:, :, 0], axis=1) >= 0).all()
    # Noise with the amplitude spectrum 1/f, in float64.
    radius = np.hypot(np.fft.rfftfreq(64)[None], np.fft.fftfreq(64)[:, None])
    amplitude = np.divide(1, radius, out=np.zeros_like(radius), where=radius > 0)
    noise = np.fft.rfft2(np.random.default_rng(0).normal(size=(200, 64, 64))) * amplitude
    variance = np.fft.irfft2(noise).var()
    for filtered in response:
        np.testing.assert_allclose(np.fft.irfft2(noise * filtered.T).var() / variance, 1, rtol=0.05)


def test_every_parameter_of_the_branch_learns():
    frames = jnp.asarray(_frames((16, 16)))
    module = FrequencyBranch(widths=(8, 16), filters=2)
    variables = jax.jit(module.init)(jax.random.key(0), frames)
    gradient = jax.jit(jax.grad(lambda v: (module.apply(v, frames)[0] ** 3).sum()))(variables)
    assert all(float(abs(leaf).max()) > 0 for leaf in jax.tree.leaves(gradient))


def test_stages_halve_the_map():
    module = FrequencyBranch(widths=(8, 16, 24))
    (features, maps), _ = jax.eval_shape(module.init_with_output, jax.random.key(0), _frames((32, 24)))
    assert features.shape == (2, 24)
    assert [m.shape[1:] for m in maps] == [(16, 12, 8), (8, 6, 16), (4, 3, 24)]


@pytest.mark.parametrize("options", [{"widths": ()}, {"widths": (8, 9)}, {"filters": 0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        FrequencyBranch(**options)
