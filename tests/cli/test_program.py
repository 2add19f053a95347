"""How programs end."""

import errno
import signal
import subprocess
import sys

import pytest

from fakedetect_jax.cli.program import importing, run_program
from fakedetect_jax.errors import ConfigError, FakedetectError, Stopped


@pytest.fixture(autouse=True)
def signals():
    """A program finds signals as Python sets them at its start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end(work, capsys):
    """Runs `work` as a program: its exit code and its lines on stderr."""
    code, errors = 0, ""
    try:
        run_program("prog", work)
    except SystemExit as ended:
        # Python writes an exit code that is text to stderr, and ends with 1.
        code, errors = (1, ended.code) if isinstance(ended.code, str) else (ended.code, "")
    return code, (capsys.readouterr().err + errors).splitlines()


def raising(error):
    def work():
        raise error

    return work


def file_error(number, name="/disk/file"):
    return OSError(number, "words of the system", name)


def test_work_that_is_done_ends_with_0(capsys):
    assert end(lambda: print("fine"), capsys) == (0, [])


@pytest.mark.parametrize(("kind", "code"), [(FakedetectError, 1), (ConfigError, 2)])
def test_an_error_of_ours_is_one_line(kind, code, capsys):
    assert end(raising(kind("a=3; it must be 4")), capsys) == (code, ["prog: a=3; it must be 4"])


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no room is left"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "only be read"),
        (errno.EISDIR, "is a folder"),
        (errno.ENOENT, "no such file"),
        (errno.ENAMETOOLONG, "too long"),
    ],
)
def test_trouble_with_a_file_is_one_line_that_names_it(number, words, capsys):
    code, (line,) = end(raising(file_error(number)), capsys)
    assert code == 1
    assert line.startswith("prog: /disk/file: ")
    assert words in line


def test_a_device_without_memory_is_told_what_to_lower(capsys):
    code, (line,) = end(raising(RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating")), capsys)
    assert code == 1
    assert "lower the batch size" in line


@pytest.mark.parametrize(
    "error",
    [
        ValueError("not ours"),
        KeyError("step"),
        file_error(errno.EBADF),
        FloatingPointError("x"),
        MemoryError(),
    ],
)
def test_a_bug_keeps_its_traceback_and_is_called_one(error, capsys):
    code, lines = end(raising(error), capsys)
    assert code == 70
    assert lines[0].startswith("Traceback")
    assert any(__file__ in line for line in lines)
    assert "this is a bug in fakedetect_jax" in lines[-1]
    assert "report" in lines[-1]


@pytest.fixture
def leaves(monkeypatch):
    """Python's own end in the place of the abrupt one, which would end the tests."""
    monkeypatch.setattr("os._exit", sys.exit)


def test_ctrl_c_is_one_line(capsys, leaves):
    assert end(raising(KeyboardInterrupt()), capsys) == (130, ["prog: stopped"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_says_how_to_go_on(number, code, capsys, leaves):
    assert end(raising(Stopped("goes on from step 3", number)), capsys) == (
        code,
        ["prog: goes on from step 3"],
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cleans_up_and_is_one_line(number, code, capsys, leaves):
    cleaned = []

    def work():
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(True)

    assert end(work, capsys) == (code, ["prog: stopped"])
    assert cleaned


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_garbage_collector_swallows_is_not_lost(number):
    program = f"""
import gc, os, time
from fakedetect_jax.cli.program import run_program

def swallow(phase, _):
    if phase == "start":
        gc.callbacks.clear()
        os.kill(os.getpid(), {int(number)})
        time.sleep(1)

def work():
    gc.callbacks.append(swallow)
    gc.collect()
    time.sleep(60)

run_program("prog", work)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + number, "prog: stopped\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", ["print", "lambda: 1 / 0"])
def test_a_signal_while_python_ends_is_no_traceback(number, work):
    program = f"""
import atexit, os
from fakedetect_jax.cli.program import run_program
atexit.register(lambda: os.kill(os.getpid(), {int(number)}))
run_program("prog", {work})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -number
    assert "atexit" not in done.stderr
    assert "KeyboardInterrupt" not in done.stderr


def test_a_signal_that_was_ignored_stays_ignored():
    program = """
import os, signal
from fakedetect_jax.cli.program import run_program

def work():
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    print("done")

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
run_program("prog", work)
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_reader_that_went_away_is_no_error():
    program = """
from fakedetect_jax.cli.program import run_program
run_program("prog", lambda: [print("line") for _ in range(100_000)] and None)
"""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -c '{program}' | head -1"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "line\n", "")


def test_a_name_that_is_no_utf8_can_be_printed():
    program = (
        'from fakedetect_jax.cli.program import run_program\nrun_program("prog", lambda: print("caf\\udce9"))'
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "caf\\udce9\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_importing_cannot_be_swallowed(number):
    program = f"""
import os, signal
from fakedetect_jax.cli.program import importing, run_program

def work():
    with importing("prog"):
        try:
            os.kill(os.getpid(), {int(number)})
        except BaseException:
            pass
    print("went on")

run_program("prog", work)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "prog: stopped\n")


def test_after_importing_ctrl_c_is_what_it_was(capsys, leaves):
    def work():
        with importing("prog"):
            pass
        signal.raise_signal(signal.SIGINT)

    assert end(work, capsys) == (130, ["prog: stopped"])
