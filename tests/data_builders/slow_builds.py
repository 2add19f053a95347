"""Slow builds of the tiny dataset in processes of their own, for tests that kill them or start two."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def started(folder: Path, *, seconds: float, workers: int = 1) -> Iterator[subprocess.Popen]:
    """Start a build that spends so many seconds on each video; kill it at the end if it still runs.

    It is the first of a process group, as a program in a terminal. Its workers share its `stdout`; each writes a line
    there when it begins with a video.
    """
    arguments = [str(folder), str(seconds), str(workers)]
    # A file, because a pipe stays open for as long as any worker of a killed build lives.
    with (folder / f"stderr{seconds}.txt").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.data_builders.tiny_build", *arguments],
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def said(folder: Path, *, seconds: float) -> str:
    """Return what such a build wrote to stderr."""
    return (folder / f"stderr{seconds}.txt").read_text()


def finished_videos(folder: Path) -> int:
    """Return how many videos the journal of a folder has."""
    # rglob would fail if a folder vanishes meanwhile.
    return sum("outcome.json" in files for _, _, files in os.walk(folder / ".unfinished"))


def wait_for(condition: Callable[[], bool], *, seconds: float = 120) -> bool:
    """Wait until a condition holds, and return whether it does."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds
