"""Builds the tiny dataset slowly, in a process of its own that a test can kill: python -m ... FOLDER SECONDS."""

import sys
import time
from pathlib import Path

import data_builders.execution
from tests.tiny_dataset import build_tiny

if __name__ == "__main__":
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    extract = data_builders.execution.extract

    def slow(*arguments, **options):
        time.sleep(seconds)
        return extract(*arguments, **options)

    data_builders.execution.extract = slow
    build_tiny(folder)
