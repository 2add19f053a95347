"""A slow build of the tiny dataset, in a process that a test can kill: python -m ... FOLDER SECONDS WORKERS."""

import ctypes
import os
import sys
from pathlib import Path

from fakedetect_jax.cli.program import run_program
from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.workers import Workers
from tests.tiny_dataset import TinyFaces

SECONDS = "TINY_BUILD_SECONDS"


def slow_path(item, folder):
    print(os.getpid(), flush=True)
    # As a decoder that keeps the lock of the interpreter: nothing else in its process goes on.
    ctypes.PyDLL(None).usleep(int(1e6 * float(os.environ[SECONDS])))
    return Path(item.source)


def build():
    folder, seconds, workers = sys.argv[1:]
    os.environ[SECONDS] = seconds  # the workers inherit it
    TinyFaces.materialise = staticmethod(slow_path)
    prepare(TinyFaces(data_dir=folder), workers=Workers(processes=int(workers)))


if __name__ == "__main__":
    run_program("tiny_build", build)
