import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax import parallel
from fakedetect_jax.training.checkpoint import CheckpointMismatch, Checkpoints


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
    restored = Checkpoints(tmp_path, metric="auc", read_only=True).restore(1, state)
    jax.tree.map(lambda saved, read: np.testing.assert_array_equal(saved, read, strict=True), state, restored)
    assert all(leaf.sharding.device_set == {jax.devices()[0]} for leaf in jax.tree.leaves(restored))


def test_what_a_killed_save_left_is_removed_by_the_run_that_goes_on_and_by_nobody_else(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="auc")
    checkpoints.save(1, {"kernel": jnp.ones(3)}, {}, {"auc": 0.5})
    checkpoints.close()
    unfinished = tmp_path / "step_2.orbax-checkpoint-tmp" / "state"
    unfinished.mkdir(parents=True)
    reading = Checkpoints(tmp_path, metric="auc", read_only=True)
    assert reading.best_step() == reading.latest_step() == 1
    reading.close()
    assert unfinished.exists()
    going_on = Checkpoints(tmp_path, metric="auc")
    # It is removed in the background; the next save waits for it.
    going_on.save(3, {"kernel": jnp.ones(3)}, {}, {"auc": 0.5})
    assert not unfinished.parent.exists()
    going_on.close()


def test_a_folder_without_checkpoints_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(CheckpointMismatch, match="nothing: no validated checkpoint; train first"):
        Checkpoints(tmp_path / "nothing", metric="auc", read_only=True).best_step()
    assert not (tmp_path / "nothing").exists()
