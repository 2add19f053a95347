"""The console script, run within the tests' process."""

import sys

import pytest

from fakedetect_jax.cli import main as cli


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs `fakedetect` in an empty folder: exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fakedetect", *arguments])
        code, message = 0, ""
        try:
            cli.main()
        except SystemExit as ended:
            code, message = (1, f"{ended.code}\n") if isinstance(ended.code, str) else (ended.code, "")
        output, errors = capsys.readouterr()
        return code, output, errors + message

    return run
