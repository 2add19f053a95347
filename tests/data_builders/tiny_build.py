"""A slow build of the tiny dataset, in a process that a test can kill: python -m ... FOLDER SECONDS WORKERS."""

import os
import sys
import time
from pathlib import Path

from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.workers import Workers
from fakedetect_jax.errors import FakedetectError
from tests.tiny_dataset import TinyFaces

SECONDS = "TINY_BUILD_SECONDS"


def slow_path(item, folder):
    time.sleep(float(os.environ[SECONDS]))
    return Path(item.source)


if __name__ == "__main__":
    folder, seconds, workers = sys.argv[1:]
    os.environ[SECONDS] = seconds  # the workers inherit it
    TinyFaces.materialise = staticmethod(slow_path)
    try:
        prepare(TinyFaces(data_dir=folder), workers=Workers(processes=int(workers)))
    except FakedetectError as error:
        sys.exit(str(error))
