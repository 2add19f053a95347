"""Worker processes end with their program, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys, time
import grain
from fakedetect_jax.data.pipeline import in_workers
from fakedetect_jax.cli.program import run_program

def work():
    stream = grain.MapDataset.range(10**9).map(lambda row: os.getpid()).batch(2).to_iter_dataset()
    rows = iter(in_workers(stream, 2))
    print(*sorted({int(next(rows)[0]) for _ in range(20)}), os.getpid(), flush=True)
    {end}

if __name__ == "__main__":
    run_program("prog", work)
"""


def start(end):
    """Start a program with two workers in a process group of its own; return it and the workers' ids."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("{end}", end)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    *workers, program = map(int, process.stdout.readline().split())
    assert len(workers) == 2, process.communicate()[1]
    assert program == process.pid not in workers
    return process, workers


def gone(pids, seconds):
    """Return whether all of the processes end within `seconds`."""
    until = time.monotonic() + seconds
    while any(running(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def running(pid):
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_program_that_never_parsed_flags_has_workers_and_they_end_with_it():
    process, workers = start("pass")
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert gone(workers, 10)


def test_the_workers_of_a_killed_program_end():
    process, workers = start("time.sleep(600)")
    assert not gone(workers, 3)
    process.kill()
    process.wait()
    assert gone(workers, 20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_is_for_the_program_to_deal_with(number):
    ignore = f"import signal; signal.signal({int(number)}, lambda *_: None)"
    process, workers = start(f"{ignore}; time.sleep(3); next(rows); print('went on')")
    time.sleep(0.5)
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "went on\n", "")
    assert gone(workers, 10)


def test_a_failing_program_ends_with_its_workers():
    process, workers = start("raise KeyboardInterrupt")
    _, errors = process.communicate(timeout=60)
    # Python may add that it cleaned up after them.
    assert (process.returncode, errors.splitlines()[0]) == (130, "prog: stopped")
    assert "Traceback" not in errors
    assert gone(workers, 10)
