"""Worker processes of grain: usable from any program, and gone when that program is."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time

import grain
from absl import flags

_SECONDS = 1.0


def in_workers(stream: grain.IterDataset, count: int) -> grain.IterDataset:
    """Reads `stream` in `count` processes; a killed program does not leave them behind."""
    # Grain looks at its flags, which only a program that uses absl has parsed.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return stream.mp_prefetch(
        grain.MultiprocessingOptions(num_workers=count),
        worker_init_fn=functools.partial(_end_with, os.getpid()),
    )


def _end_with(program: int, _: int, __: int) -> None:
    """Makes this worker end when `program` does, however that ends, and not before."""
    # A terminal sends Ctrl-C, and Slurm SIGTERM, to all processes: what follows is for the program to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(program,), daemon=True).start()


def _watch(program: int) -> None:
    # Linux can send a signal instead, but does so as soon as the thread ends that started the worker.
    while os.getppid() == program:
        time.sleep(_SECONDS)
    os._exit(1)
