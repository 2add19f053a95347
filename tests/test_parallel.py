import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from fakedetect_jax import parallel
from fakedetect_jax.evaluation.scores import read_csv

ROOT = Path(__file__).parents[1]


def test_the_mesh_has_all_devices():
    assert parallel.make_mesh().shape == {"data": jax.device_count()}


def test_a_batch_that_does_not_divide_is_refused_with_one_that_does():
    mesh = parallel.make_mesh(jax.devices()[:8])
    parallel.check_batch_size(16, mesh, "config.train.batch_size")
    with pytest.raises(ValueError, match=r"config.train.batch_size=12 .* 8 devices; use a multiple, e.g. 16"):
        parallel.check_batch_size(12, mesh, "config.train.batch_size")


def test_the_mesh_follows_the_processes_and_not_the_wiring():
    # A slice of 4 x 4 chips of four hosts, as jax lists and wires them: each host has a square of 2 x 2.
    wired = [
        SimpleNamespace(process_index=2 * (row // 2) + column // 2, id=4 * row + column)
        for row in range(4)
        for column in range(4)
    ]
    ordered = parallel.in_process_order(wired)
    assert [device.process_index for device in ordered] == sorted(device.process_index for device in wired)
    assert [device.process_index for device in wired] != [device.process_index for device in ordered]
    assert len({device.id for device in ordered}) == 16


def run_together(count, data, workdir):
    """Runs tests/one_of_two.py in `count` processes with 8 devices in all."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    flags = f"--xla_force_host_platform_device_count={8 // count} --xla_backend_optimization_level=0"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.one_of_two", port, str(count), str(index), str(data), str(workdir)],
            cwd=ROOT,
            env=os.environ | {"XLA_FLAGS": flags},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(count)
    ]
    said = [process.communicate(timeout=400)[0] for process in processes]
    for process, words in zip(processes, said, strict=True):
        assert process.returncode == 0, words
    return said


def test_two_processes_give_what_one_gives_and_only_the_first_writes(tiny_data, tmp_path):
    run_together(1, tiny_data, tmp_path / "one")
    first, second = run_together(2, tiny_data, tmp_path / "two")
    losses = [
        [
            row["loss"]
            for row in map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
            if row["part"] == "train"
        ]
        for name in ("one", "two")
    ]
    assert len(losses[0]) == 4
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    one, two = (read_csv(tmp_path / name / "evaluation" / "scores.csv") for name in ("one", "two"))
    assert [row.name for row in one] == [row.name for row in two]
    np.testing.assert_allclose([row.score for row in one], [row.score for row in two], atol=1e-4)
    files = {path.relative_to(tmp_path / "two").parts[0] for path in (tmp_path / "two").iterdir()}
    assert files == {
        *(
            "checkpoints",
            "config.json",
            "detector",
            "evaluation",
            "metrics.jsonl",
            "start.txt",
            "tensorboard",
        ),
        "evaluation.lock",
        "export.lock",
        "training.lock",
    }
    assert "parameters" in first
    assert "parameters" not in second
    assert "step/s" not in second
    assert "evaluate tiny" not in second


def test_programs_for_a_gpu_are_kept_in_the_cache_folder_and_those_for_a_cpu_are_not(monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
        parallel.keep_compiled_programs()
        assert jax.config.jax_compilation_cache_dir is None
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        parallel.keep_compiled_programs()
        assert jax.config.jax_compilation_cache_dir == "/somewhere/fakedetect_jax/xla"
        jax.config.update("jax_compilation_cache_dir", "/mine")
        parallel.keep_compiled_programs()
        assert jax.config.jax_compilation_cache_dir == "/mine"
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_devices_in_words():
    assert parallel.describe_devices(parallel.make_mesh()) == "8 x cpu"
