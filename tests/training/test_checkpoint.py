import jax
import jax.numpy as jnp
import numpy as np

from fakedetect_jax import parallel
from fakedetect_jax.training.checkpoint import Checkpoints


def test_a_state_on_eight_devices_is_saved_without_compiling_and_restored_on_one(tmp_path):
    state = {f"kernel_{rows}": jnp.arange(rows * 8.0).reshape(rows, 8) for rows in (8, 16, 24)}
    mesh = parallel.make_mesh()
    assert mesh.size == 8
    spread = jax.block_until_ready(jax.device_put(state, parallel.replicated(mesh)))
    checkpoints = Checkpoints(tmp_path, metric="auc")
    compiled = []

    def listen(event, *_, **__):
        compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: x * 3.5)(spread["kernel_8"])
        seen = len([event for event in compiled if "backend_compile" in event])
        assert seen == 1  # the listener hears compilations
        checkpoints.save(1, spread, {}, {"auc": 0.5})
        assert len([event for event in compiled if "backend_compile" in event]) == seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    checkpoints.close()
    restored = Checkpoints(tmp_path, metric="auc").restore(1, state)
    jax.tree.map(lambda saved, read: np.testing.assert_array_equal(saved, read, strict=True), state, restored)
    assert all(leaf.sharding.device_set == {jax.devices()[0]} for leaf in jax.tree.leaves(restored))
