import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import pytest

def test_that_skips():
    pytest.importorskip("a_package_that_nobody_has")

@pytest.mark.xfail
def test_that_is_expected_to_fail():
    assert False
"""


@pytest.mark.parametrize(("plugin", "status"), [([], 0), (["-p", "tests.no_skips"], 1)])
def test_a_skip_fails_under_the_plugin_and_names_its_reason(tmp_path, plugin, status):
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", tmp_path, *plugin, tmp_path]
    paths = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert done.returncode == status, done.stdout
    assert "1 xfailed" in done.stdout
    assert ("test_that_skips: Skipped: could not import 'a_package_that_nobody_has'" in done.stdout) == bool(
        plugin
    )
