import jax
import pytest

from fakedetect_jax import parallel


def test_the_mesh_has_all_devices():
    assert parallel.make_mesh().shape == {"data": jax.device_count()}


def test_a_batch_that_does_not_divide_is_refused_with_one_that_does():
    mesh = parallel.make_mesh(jax.devices()[:8])
    parallel.check_batch_size(16, mesh, "config.train.batch_size")
    with pytest.raises(ValueError, match=r"config.train.batch_size=12 .* 8 devices; use a multiple, e.g. 16"):
        parallel.check_batch_size(12, mesh, "config.train.batch_size")
