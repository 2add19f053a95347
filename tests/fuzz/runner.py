"""Uses inputs in a process of their own, which is replaced when it crashes or hangs, and keeps what went wrong."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.target import Target
from tests.fuzz.worker import CRASH, ERROR, HANG, INPUT, LOG, RIGHT, Job, Outcome, work

_PATIENCE = 600.0
"""Seconds to make the sound inputs."""


class Runner:
    """A worker process and its folders.

    Args:
        findings: Where inputs that went wrong are kept, each in a folder with what was said.
        limit: Seconds that an input may take.
    """

    def __init__(self, findings: Path, *, limit: float = 60.0) -> None:
        self._findings, self._limit = findings, limit
        self._scratch = Path(tempfile.mkdtemp(prefix="fuzz_"))
        self._process = None

    def run(self, target: type[Target], seed: int, number: int) -> Outcome:
        """Use one input, and keep it if that went wrong."""
        outcome = self._used(Job(target, seed, number))
        if outcome.kind not in (ERROR, RIGHT):
            self._keep(f"{target.__name__}-{seed}-{number}", outcome)
        return outcome

    def close(self) -> None:
        """End the process and remove its folders."""
        if self._process is not None:
            self._jobs.close()
            self._process.join(10)
        self._stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _used(self, job: Job) -> Outcome:
        if self._process is None:
            self._start()
        assert self._process is not None
        start = time.monotonic()
        self._jobs.send(job)
        # First the worker says that the input is made.
        trouble = self._answer(_PATIENCE)
        if trouble is not None:
            self._stop()
            raise RuntimeError(f"{job.target.__name__} cannot make its input {job.number}:\n{trouble}")
        outcome = self._answer(self._limit)
        if not isinstance(outcome, Outcome):
            return self._lost(outcome, time.monotonic() - start)
        return outcome

    def _answer(self, patience: float) -> Any:
        """Return what the worker sends, or `CRASH` or `HANG`."""
        try:
            return self._jobs.recv() if self._jobs.poll(patience) else HANG
        except EOFError:
            return CRASH

    def _lost(self, kind: str, seconds: float) -> Outcome:
        """End the process that crashed or hangs, and return its last words."""
        assert self._process is not None
        if kind == CRASH:
            self._process.join(10)
        message = (
            f"exit code {self._process.exitcode}" if kind == CRASH else f"no answer in {self._limit:.0f} s"
        )
        self._stop()
        log = (self._scratch / LOG).read_text(errors="replace")
        return Outcome(kind, f"{message}\n{log[-4000:]}", seconds, 0)

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._jobs, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=work, args=(theirs, self._scratch / "corpora", self._scratch), daemon=True
        )
        self._process.start()
        theirs.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._jobs.close()
            self._process.kill()
            self._process.join()
            self._process = None

    def _keep(self, name: str, outcome: Outcome) -> None:
        folder = self._findings / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "outcome.txt").write_text(f"{outcome.kind}\n{outcome.message}\n", errors="backslashreplace")
        if (self._scratch / INPUT).exists():
            shutil.copytree(self._scratch / INPUT, folder / INPUT, symlinks=True)
