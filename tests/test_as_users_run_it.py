"""What is promised of numbers holds in the programs that users compile, not only in the quick ones of the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import AS_USERS_RUN_IT

ROOT = Path(__file__).parents[1]
# Everything as jax has it, but for the eight devices that a processor stands in for.
FLAGS = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}


@pytest.mark.parametrize("file", AS_USERS_RUN_IT)
def test_the_file_passes_with_all_optimisations(file):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", file]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | FLAGS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
