import errno
import hashlib
import json
import random
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from fakedetect_jax import parallel
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.training.checkpoint import (
    CheckpointMismatch,
    CheckpointNotWritten,
    CheckpointReplaced,
    Checkpoints,
    DamagedCheckpoint,
)
from tests.bit_flips import with_a_flipped_bit


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


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "checkpoints").write_text("mine")
    with pytest.raises(FakedetectError, match="checkpoints is a file, but must be a folder; move it away"):
        Checkpoints(tmp_path / "checkpoints", metric="auc")


def test_a_folder_without_checkpoints_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(CheckpointMismatch, match="nothing: no validated checkpoint; train first"):
        Checkpoints(tmp_path / "nothing", metric="auc", read_only=True).best_step()
    assert not (tmp_path / "nothing").exists()


STATE = {"a": jnp.arange(3000.0), "b": {"c": jnp.full((40, 50), 0.3)}, "step": jnp.asarray(7)}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A folder with the best checkpoint, of step 3, and the newest, of step 7."""
    folder = tmp_path_factory.mktemp("two")
    checkpoints = Checkpoints(folder, metric="auc")
    checkpoints.save(3, STATE, {"config": {"x": 1}}, {"auc": 0.9})
    checkpoints.save(7, STATE, {"config": {"x": 1}}, {"auc": 0.5})
    checkpoints.close()
    return folder


@pytest.fixture
def copied(two, tmp_path):
    return shutil.copytree(two, tmp_path / "copy")


def read(folder):
    """Does all that an export does with the newest checkpoint."""
    return _read(Checkpoints(folder, metric="auc", read_only=True))


def go_on(folder):
    """Does all that a run does that goes on."""
    return _read(Checkpoints(folder, metric="auc"))


def _read(checkpoints):
    checkpoints.best_step()
    step = checkpoints.latest_step()
    assert checkpoints.about(step) == {"config": {"x": 1}}
    checkpoints.metrics(step)
    state = checkpoints.restore(step, STATE)
    checkpoints.close()
    jax.tree.map(lambda left, right: np.testing.assert_array_equal(left, right, strict=True), state, STATE)
    return step


# Orbax's own notes on times and on being done; no number follows from them.
NOTES = ("_CHECKPOINT_METADATA", "commit_success.txt")


def test_the_digests_are_of_all_files_of_a_checkpoint(two):
    step = two / "step_7"
    files = {path.relative_to(step).as_posix(): path for path in step.rglob("*") if path.is_file()}
    digests = json.loads(files["sha256.json"].read_text())
    assert digests == {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if path.name not in (*NOTES, "sha256.json")
    }
    assert {"about/metadata", "metrics/metrics", "state/_METADATA"} < set(digests)


def cut(path, data):
    path.write_bytes(data[: len(data) // 2])


def flip(path, data):
    path.write_bytes(with_a_flipped_bit(data, random.Random(path.name + str(len(data)))))


DAMAGE = {
    "removed": lambda path, data: path.unlink(),
    "emptied": lambda path, data: path.write_bytes(b""),
    "cut": cut,
    "zeroed": lambda path, data: path.write_bytes(bytes(len(data))),
    "flipped": flip,
}


@pytest.fixture(scope="module")
def digested(two):
    names = json.loads((two / "step_7" / "sha256.json").read_text())
    assert len(names) > 5
    return ["sha256.json", *names]


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_newest_checkpoint_is_told_of_and_the_run_goes_on_from_the_one_before(
    how, two, digested, tmp_path, capsys
):
    for number, name in enumerate(digested):
        folder = shutil.copytree(two, tmp_path / f"{number}")
        path = folder / "step_7" / name
        DAMAGE[how](path, path.read_bytes())
        assert go_on(folder) == 3
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{folder}: the checkpoint of step 7 is damaged (")
        assert line.endswith("and is now called damaged_step_7, which you may remove; going on from step 3")
        assert sorted(path.name for path in folder.iterdir()) == ["damaged_step_7", "step_3"]
        assert go_on(folder) == 3
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_checkpoint_is_not_exported_and_the_remedy_works(how, two, digested, tmp_path, monkeypatch):
    monkeypatch.setattr("fakedetect_jax.training.checkpoint._REMOVAL", 0)
    for number, name in enumerate(digested):
        folder = shutil.copytree(two, tmp_path / f"{number}")
        path = folder / "step_7" / name
        DAMAGE[how](path, path.read_bytes())
        message = rf"{folder}: the checkpoint of step 7 is damaged \(.*\)\. "
        message += rf"Remove the folder {folder}/step_7 to use that of step 3"
        with pytest.raises(DamagedCheckpoint, match=message):
            read(folder)
        shutil.rmtree(folder / "step_7")
        assert read(folder) == 3


def test_damage_to_others_is_no_matter_to_the_best_unless_they_might_be_better(copied):
    path = copied / "step_7" / "state" / "_METADATA"
    flip(path, path.read_bytes())
    checkpoints = Checkpoints(copied, metric="auc", read_only=True)
    assert checkpoints.best_step() == 3
    checkpoints.restore(3, STATE)
    path = copied / "step_7" / "metrics" / "metrics"
    flip(path, path.read_bytes())
    with pytest.raises(DamagedCheckpoint, match=r"step 7 is damaged \(metrics/metrics was changed or cut\)"):
        Checkpoints(copied, metric="auc", read_only=True)


def test_where_no_checkpoint_is_sound_nothing_is_changed_and_the_remedy_is_named(copied):
    for step in (3, 7):
        (copied / f"step_{step}" / "about" / "metadata").write_text("")
    for _ in range(2):
        with pytest.raises(DamagedCheckpoint, match=r"step 7 is damaged .*Remove the folder .*step_7 to use"):
            go_on(copied)
    shutil.rmtree(copied / "step_7")
    with pytest.raises(
        DamagedCheckpoint, match=r"step 3 is damaged .*Remove the folder .*step_3 to begin anew"
    ):
        go_on(copied)


def test_the_steps_after_a_damaged_checkpoint_are_saved_again(copied):
    (copied / "step_7" / "about" / "metadata").write_text("")
    checkpoints = Checkpoints(copied, metric="auc")
    checkpoints.save(7, STATE, {"config": {"x": 1}}, {"auc": 0.5})
    checkpoints.close()
    assert read(copied) == 7
    (copied / "step_7" / "about" / "metadata").write_text("")
    assert go_on(copied) == 3  # in place of the folder that was set aside before


def test_two_sound_checkpoints_are_kept_even_if_the_newest_is_the_best(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="auc")
    for step in (1, 2, 3):
        checkpoints.save(step, STATE, {"config": {"x": 1}}, {"auc": step / 4})
    checkpoints.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_2", "step_3"]


@pytest.mark.parametrize("name", NOTES)
def test_what_is_no_part_of_the_numbers_may_be_lost(name, copied):
    (copied / "step_7" / name).unlink()
    assert read(copied) == 7


@pytest.mark.parametrize(
    "notes", [b"", b"[]", b"3", b"null", b'{"item_handlers": 3}', b"\xff", b'{"metrics": {', b"9" * 5000]
)
def test_orbax_never_meets_notes_that_it_cannot_read(notes, copied):
    (copied / "step_7" / "_CHECKPOINT_METADATA").write_bytes(notes)
    assert go_on(copied) in (3, 7)


def test_a_folder_in_the_place_of_the_notes_is_damage(copied):
    path = copied / "step_7" / "_CHECKPOINT_METADATA"
    path.unlink()
    path.mkdir()
    with pytest.raises(DamagedCheckpoint, match=r"step 7 is damaged \(_CHECKPOINT_METADATA was changed\)"):
        read(copied)
    assert go_on(copied) == 3


@pytest.mark.parametrize(
    "document", ["[]", "{}", "null", '{"a": 1}', '{"/dev/zero": "0"}', '{"../a": "0"}', "[" * 10**5]
)
def test_digests_that_nobody_wrote_are_damage(document, copied):
    (copied / "step_7" / "sha256.json").write_text(document)
    with pytest.raises(DamagedCheckpoint, match=r"step 7 is damaged \(sha256.json was changed or cut\)"):
        read(copied)


@pytest.mark.parametrize("inside", [".", "about", "state", "metrics"])
def test_an_empty_folder_of_a_step_is_no_checkpoint(inside, copied, capsys):
    (copied / "step_999" / inside).mkdir(parents=True)
    assert go_on(copied) == 7
    assert "step 999 is damaged (sha256.json is missing)" in capsys.readouterr().out


def test_a_checkpoint_that_a_run_removes_while_it_is_read_is_not_called_damaged(copied, monkeypatch):
    monkeypatch.setattr("fakedetect_jax.training.checkpoint._REMOVAL", 0)
    checkpoints = Checkpoints(copied, metric="auc", read_only=True)
    shutil.rmtree(copied / "step_3")
    with pytest.raises(CheckpointReplaced, match=r"step 3 has just been replaced.*start the same line again"):
        checkpoints.restore(3, STATE)


def test_a_file_that_may_not_be_read_is_no_damage(copied, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "file")

    monkeypatch.setattr("fakedetect_jax.training.checkpoint.check_digests", forbidden)
    with pytest.raises(PermissionError):
        read(copied)


def test_what_else_lies_in_the_folder_is_left_alone(copied):
    (copied / "notes.txt").write_text("mine")
    shutil.copytree(copied / "step_7", copied / "step_7.bak")
    assert read(copied) == 7


FULL = [
    ValueError("RESOURCE_EXHAUSTED: Error writing: No space left on device"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
]


@pytest.mark.parametrize("error", FULL)
@pytest.mark.parametrize("method", ["save", "wait_until_finished"])
def test_a_full_disk_is_one_error_that_says_what_is_safe(method, error, copied, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("of orbax") from error

    monkeypatch.setattr(ocp.CheckpointManager, method, full)
    with pytest.raises(
        CheckpointNotWritten, match=r"no room .* the one of step 7 is whole. Make room, and start"
    ):
        save_and_close(copied)


def save_and_close(folder):
    checkpoints = Checkpoints(folder, metric="auc")
    checkpoints.save(8, STATE, {}, None)
    checkpoints.close()


def test_without_room_for_the_state_no_save_is_begun(copied, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: types.SimpleNamespace(free=9000))
    with pytest.raises(
        CheckpointNotWritten, match=r"no room .* the one of step 7 is whole. Make room, and start"
    ):
        save_and_close(copied)
    assert sorted(path.name for path in copied.iterdir()) == ["step_3", "step_7"]
    monkeypatch.undo()
    save_and_close(copied)
    assert sorted(path.name for path in copied.iterdir()) == ["step_3", "step_7", "step_8"]


def test_another_failure_of_a_save_stays_what_it_is(copied, monkeypatch):
    def fails(*_, **__):
        raise ValueError("a bug")

    monkeypatch.setattr(ocp.CheckpointManager, "save", fails)
    with pytest.raises(ValueError, match="a bug") as raised:
        Checkpoints(copied, metric="auc").save(8, STATE, {}, None)
    assert type(raised.value) is ValueError
