"""How a program ends: one line for a mistake of the user's, a traceback for a bug, and an exit code for scripts."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

import fakedetect_jax
from fakedetect_jax.errors import ConfigError, FakedetectError

NAME = "fakedetect"
EXIT_CODES = """Exit codes: 0 done; 1 an error that the last line names, with its remedy; 2 a wrong command line or
config; 3 predict is done, but not everything could be judged: no face, nothing that this detector can judge by, or a
video that can be decoded only in part; 70 a bug, whose traceback is shown; 130 stopped by Ctrl-C; 143 stopped by
SIGTERM, as Slurm and spot machines send it. Training that was stopped or killed goes on when the same line is started
again."""

NOT_ALL_JUDGED = 3
_WRONG_COMMAND_LINE = 2
_BUG = 70
# File errors that the user or the machine's owner can mend. Any other number is a bug that happened to meet a file.
_FILE_TROUBLE = {
    errno.EACCES: "permission denied; change its rights, or name another place",
    errno.EDQUOT: "your disk quota is used up; free some space, and start the same line again",
    errno.EEXIST: "exists already; move it away, or name another place",
    errno.EIO: "the disk cannot read or write it (input/output error)",
    errno.EISDIR: "is a folder, but must be a file; move it away, or name another place",
    errno.ENAMETOOLONG: "the name is too long for this file system; name another place",
    errno.ENOENT: "no such file or folder",
    errno.ENOSPC: "no room is left on the disk; free some, and start the same line again",
    errno.ENOTDIR: "is not a folder, or is below a file; move that away, or name another place",
    errno.EPERM: "the system does not permit it",
    errno.EROFS: "is on a disk that can only be read; name another place",
}


def run_program(name: str, work: Callable[[], None]) -> None:
    """Run `work`, and exit with one of `EXIT_CODES` unless it succeeds. `name` begins every line about an error."""
    # A file name need not be UTF-8; printing one must not end the program.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        work()
        sys.stdout.flush()
    except ConfigError as error:
        _say(name, str(error))
        sys.exit(_WRONG_COMMAND_LINE)
    except KeyboardInterrupt as error:
        _say(name, str(error) or "stopped")
        # All `finally` clauses have run. Python's own exit would free what native threads still use, and crash.
        os._exit(128 + getattr(error, "number", signal.SIGINT))
    except BrokenPipeError:
        # Our reader has gone, as in `fakedetect models | head`. Python's own flush at the end must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if line := trouble(error):
            sys.exit(f"{name}: {line}")  # prints it on stderr, and ends with 1
        traceback.print_exc()
        _say(name, f"{type(error).__name__}: {_bug_line()}")
        sys.exit(_BUG)


@contextlib.contextmanager
def importing(name: str) -> Iterator[None]:
    """End the program at once on Ctrl-C, while entered.

    Libraries that are being imported swallow the KeyboardInterrupt, or turn it into another error. Nothing needs to be
    cleaned up yet.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        os.write(2, f"{name}: stopped\n".encode())
        os._exit(128 + number)

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def path(text: str) -> str:
    """Return the name of a file or folder with ~ expanded, which a shell leaves as it is in --out=~/data."""
    return os.path.expanduser(text)


def trouble(error: Exception) -> str:
    """Return one line on what the user, or the machine's owner, can mend; '' where the error is a bug."""
    if isinstance(error, FakedetectError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _FILE_TROUBLE:
        what = _FILE_TROUBLE[error.errno]
        return what if error.filename is None else f"{os.fsdecode(error.filename)}: {what}"
    # XLA raises a plain RuntimeError for a device.
    if isinstance(error, RuntimeError) and str(error).startswith("RESOURCE_EXHAUSTED"):
        return (
            f"the device has too little memory; lower the batch size ({str(error).splitlines()[0].strip()})"
        )
    return ""


def _bug_line() -> str:
    versions = f"fakedetect_jax {fakedetect_jax.__version__}, Python {platform.python_version()}"
    return (
        "this is a bug in fakedetect_jax, not a mistake of yours. Please report it in the project's issues, with your"
        f" command, the traceback above and the versions ({versions}, {platform.platform()})"
    )


def _say(name: str, line: str) -> None:
    sys.stdout.flush()
    print(f"{name}: {line}", file=sys.stderr, flush=True)
