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
from fakedetect_jax.errors import ConfigError, FakedetectError, Stopped

NAME = "fakedetect"
EXIT_CODES = """Exit codes: 0 done; 1 an error that the last line names, with its remedy; 2 a wrong command line or
config; 3 predict is done, but not everything could be judged: no face, nothing that this detector can judge by, or a
video that can be decoded only in part; 70 a bug, whose traceback is shown; 130 stopped by Ctrl-C; 143 stopped by
SIGTERM, as Slurm and spot machines send it. Training that was stopped or killed goes on when the same line is started
again."""

NOT_ALL_JUDGED = 3
_WRONG_COMMAND_LINE = 2
_BUG = 70
# Seconds after which a callback that swallowed a signal has ended.
_PAUSE = 0.1
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
    _stop_on_signals()
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
    finally:
        _end_at_once_on_signals()


def _stop_on_signals() -> None:
    """Let SIGTERM run the `finally` clauses, as Ctrl-C does, and neither of them be lost."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Stopped("stopped", number)

    if _is_main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)
    sys.unraisablehook = _send_again


def _send_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Send a signal once more if what it raised was ignored, as in the callbacks of the garbage collector."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        number = getattr(unraisable.exc_value, "number", signal.SIGINT)
        threading.Timer(_PAUSE, os.kill, (os.getpid(), number)).start()
    else:
        sys.__unraisablehook__(unraisable)


def _end_at_once_on_signals() -> None:
    """Let signals end the program without a word: in what Python itself does at its end, they would be tracebacks."""
    if _is_main_thread():
        for number in _heard():
            signal.signal(number, signal.SIG_DFL)


def _heard() -> list[int]:
    """Return which of Ctrl-C and SIGTERM do anything; a signal that was ignored, as by a background job, stays so."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def _is_main_thread() -> bool:
    """Return whether this thread may say what signals do."""
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def importing(name: str) -> Iterator[None]:
    """End the program at once on Ctrl-C and SIGTERM, while entered.

    Libraries that are being imported swallow the exception, or turn it into another error. Nothing needs to be cleaned
    up yet.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        os.write(2, f"{name}: stopped\n".encode())
        os._exit(128 + number)

    if not _is_main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
