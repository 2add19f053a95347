"""Two builds of one dataset at once, and what killed ones leave behind."""

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from fakedetect_jax.data_builders.engine import lock
from fakedetect_jax.data_builders.engine.lock import BuildLocked, locked
from tests.data_builders import slow_builds
from tests.tiny_dataset import build_tiny


def lock_of(folder):
    return folder / ".unfinished/tiny_faces/1.0.0.lock"


def owner(**changes):
    return json.dumps({"host": socket.gethostname(), "boot": "", "pid": os.getpid()} | changes)


HOLDING = """
import pathlib, sys
from fakedetect_jax.data_builders.engine.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held(path):
    """Let another process hold a lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"in\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_build_is_refused_and_the_first_one_ends_well(tmp_path):
    with slow_builds.started(tmp_path, seconds=0.3) as first:
        assert slow_builds.wait_for(lambda: slow_builds.finished_videos(tmp_path) >= 1)
        with slow_builds.started(tmp_path, seconds=0) as second:
            assert second.wait(120) == 1
        said = slow_builds.said(tmp_path, seconds=0)
        assert f"process {first.pid}" in said
        assert str(lock_of(tmp_path)) in said
        assert first.wait(120) == 0
    assert not (tmp_path / ".unfinished").exists()
    report = json.loads((tmp_path / "tiny_faces/1.0.0/build_report.json").read_text())
    assert [row["video_id"] for row in report["videos"] if row["failure"]] == ["train2_real", "test2_swap"]


def test_of_many_builds_that_find_a_dead_ones_lock_one_builds(tmp_path, dead_pid):
    for round_ in range(3):
        path = tmp_path / f"{round_}.lock"
        path.write_text(owner(pid=dead_pid))
        script = (
            "import sys, time, pathlib\n"
            "from fakedetect_jax.data_builders.engine.lock import locked\n"
            "path = pathlib.Path(sys.argv[1])\n"
            "while not path.with_suffix('.go').exists(): pass\n"
            "with locked(path):\n"
            "    print('in', flush=True); time.sleep(2)\n"
        )
        many = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            for _ in range(4)
        ]
        time.sleep(2)
        path.with_suffix(".go").touch()
        inside = [process.communicate(timeout=60)[0] for process in many]
        assert inside.count(b"in\n") == 1
        assert not list(tmp_path.glob("*.lock*"))


def test_a_lock_holds_while_it_is_held(tmp_path):
    path = tmp_path / "deep/a.lock"
    with locked(path):
        with pytest.raises(BuildLocked, match=rf"process {os.getpid()} .*a\.lock"), locked(path):
            pass
        assert path.exists()
    assert not path.exists()


def test_a_lock_goes_with_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "a.lock"):
        raise KeyboardInterrupt
    assert not (tmp_path / "a.lock").exists()


def test_a_dead_builds_lock_is_taken_over(tmp_path, dead_pid):
    path = tmp_path / "a.lock"
    path.write_text(owner(pid=dead_pid))
    with locked(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_number_that_another_process_has_now_is_no_owner(tmp_path):
    path = tmp_path / "a.lock"
    path.write_text(owner(boot="before the last one"))
    with locked(path):
        assert json.loads(path.read_text())["boot"] != "before the last one"


def test_a_killed_process_gives_its_lock_up_and_a_living_one_does_not(tmp_path):
    path = tmp_path / "a.lock"
    with held(path) as process:
        with pytest.raises(BuildLocked, match=rf"process {process.pid} on .*a\.lock"), locked(path):
            pass
        process.kill()
        process.wait()
        with locked(path):
            assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_living_build_of_another_container_keeps_its_lock(tmp_path, dead_pid):
    """Containers of one machine may have one name, and count processes each for itself."""
    path = tmp_path / "a.lock"
    with held(path):
        path.write_text(path.read_text().replace(str(json.loads(path.read_text())["pid"]), str(dead_pid)))
        with pytest.raises(BuildLocked, match=f"process {dead_pid}"), locked(path):
            pass


def test_the_lock_of_a_dead_container_of_this_machine_is_taken_over(tmp_path, monkeypatch):
    (tmp_path / "boot_id").write_text("6c1f\n")
    monkeypatch.setattr(lock, "_BOOT_ID", tmp_path / "boot_id")
    path = tmp_path / "a.lock"
    path.write_text(owner(host="3f1c2b", boot="6c1f"))
    with locked(path):
        assert json.loads(path.read_text())["host"] == socket.gethostname()


def test_where_the_system_does_not_name_its_kernel_another_container_is_another_machine(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lock, "_BOOT_ID", tmp_path / "none")
    path = tmp_path / "a.lock"
    path.write_text(owner(host="3f1c2b"))
    with pytest.raises(BuildLocked, match=r"'3f1c2b'.*remove .*a\.lock"), locked(path):
        pass


def test_where_the_file_system_has_no_locks_the_file_is_one(tmp_path, monkeypatch, dead_pid):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    path = tmp_path / "a.lock"
    with (
        locked(path),
        pytest.raises(BuildLocked, match=rf"process {os.getpid()} .*remove .*a\.lock"),
        locked(path),
    ):
        pass
    assert not path.exists()
    path.write_text(owner(pid=dead_pid))
    with pytest.raises(BuildLocked, match=r"remove .*a\.lock"), locked(path):
        pass


def test_a_lock_that_somebody_removed_is_not_taken_from_its_next_owner(tmp_path):
    path = tmp_path / "a.lock"
    with locked(path):
        path.unlink()
        path.write_text(owner(host="elsewhere"))
    assert json.loads(path.read_text())["host"] == "elsewhere"


def test_a_lock_of_another_machine_is_left_with_its_remedy(tmp_path, dead_pid):
    path = tmp_path / "a.lock"
    path.write_text(owner(host="elsewhere", pid=dead_pid))
    with pytest.raises(BuildLocked, match=r"'elsewhere'.*remove .*a\.lock"), locked(path):
        pass
    assert path.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"host": 1, "pid": "x", "boot": 0}', "\0"])
def test_a_lock_that_says_nothing_is_left_with_its_remedy(tmp_path, content):
    path = tmp_path / "a.lock"
    path.write_text(content)
    with pytest.raises(BuildLocked, match=r"remove .*a\.lock"), locked(path):
        pass


def test_a_killed_builds_leftovers_are_swept(tmp_path, dead_pid):
    left_over = tmp_path / ".unfinished/tiny_faces/1.0.0.records/tiny_faces/incomplete.AB12CD_1.0.0"
    others = tmp_path / ".unfinished/tiny_faces/size64/1.0.0.records/tiny_faces/incomplete.AB12CD_1.0.0"
    scratch = tmp_path / ".unfinished/tiny_faces/1.0.0/scratch/tmp"
    for folder in (left_over, others, scratch):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"x")
    lock_of(tmp_path).write_text(owner(pid=dead_pid))
    build_tiny(tmp_path)
    assert not left_over.exists()
    assert others.exists()
    assert [path.name for path in (tmp_path / ".unfinished/tiny_faces").iterdir()] == ["size64"]


def test_what_a_build_killed_while_writing_left_is_swept(tmp_path):
    """Here TFDS itself names the folder."""
    script = (
        "import os, signal, sys, fakedetect_jax.data_builders.engine.base as base\n"
        "from tests.tiny_dataset import build_tiny\n"
        "base.write_index = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "build_tiny(sys.argv[1])\n"
    )
    process = subprocess.run([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.DEVNULL)
    assert process.returncode == -signal.SIGKILL
    assert len(list((tmp_path / ".unfinished/tiny_faces/1.0.0.records/tiny_faces").iterdir())) == 1
    assert not (tmp_path / "tiny_faces").exists()
    build_tiny(tmp_path)
    assert not (tmp_path / ".unfinished").exists()
    assert [path.name for path in (tmp_path / "tiny_faces").iterdir()] == ["1.0.0"]


def test_the_journals_of_other_datasets_stay(tmp_path):
    other = tmp_path / ".unfinished/other/1.0.0"
    other.mkdir(parents=True)
    build_tiny(tmp_path)
    assert other.exists()
    assert not (tmp_path / ".unfinished/tiny_faces").exists()


@pytest.mark.parametrize(
    ("number", "to_all"), [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGINT, True)]
)
def test_the_workers_end_with_their_build(tmp_path, number, to_all):
    # As long as its workers live, it waits for their first videos.
    with slow_builds.started(tmp_path, seconds=60, workers=2) as process:
        assert len({int(process.stdout.readline()) for _ in range(2)} - {process.pid}) == 2
        (os.killpg if to_all else os.kill)(process.pid, number)
        # It ends when the last of those that can write to it has ended: two workers and multiprocessing's own process.
        process.communicate(timeout=40)
    # A terminal sends Ctrl-C to all of them.
    assert "Traceback" not in slow_builds.said(tmp_path, seconds=60)
