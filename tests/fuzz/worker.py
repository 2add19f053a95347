"""The process in which inputs are used: it may crash or hang, and its parent lives on."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import random
import resource
import shutil
import sys
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.target import Case, Target, Wrong

LOG = "output.txt"
INPUT = "input"
ERROR, RIGHT, TRACEBACK, HANG, CRASH, SILENT = (
    *("named error", "right result", "traceback", "hang", "crash", "silent acceptance"),
)
KINDS = (ERROR, RIGHT, TRACEBACK, HANG, CRASH, SILENT)
BAD = (TRACEBACK, HANG, CRASH, SILENT)
_LONGEST_MESSAGE = 2000


class Outcome(NamedTuple):
    """What came of an input.

    Attributes:
        kind: `ERROR`, `RIGHT`, `TRACEBACK`, `HANG`, `CRASH` or `SILENT`.
        message: The error or the fault in words, or what should be counted about a right result.
        seconds: How long it took.
        memory: Bytes that the process grew by at most.
    """

    kind: str
    message: str
    seconds: float
    memory: int


class Job(NamedTuple):
    """The input that target, seed and number decide."""

    target: type[Target]
    seed: int
    number: int


def work(jobs: Connection, corpora: Path, scratch: Path) -> None:
    """Use one input after another until `jobs` ends.

    The answers are None when an input is made, and then its `Outcome`; or the traceback of a broken target.
    """
    log = os.open(scratch / LOG, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
    # Libraries write to the terminal, too.
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    os.chdir(scratch)  # where stray files are found
    warnings.simplefilter("ignore")
    targets: dict[type[Target], Target] = {}
    while True:
        try:
            job: Job = jobs.recv()
        except EOFError:
            return
        os.ftruncate(log, 0)
        try:
            if job.target not in targets:
                targets[job.target] = job.target(corpora / job.target.__name__)
                gc.freeze()
            case = _case(targets[job.target], job, scratch / INPUT)
        except Exception:  # a fault of the target itself, not of what is tested
            jobs.send(traceback.format_exc())
            return
        jobs.send(None)
        jobs.send(_used(targets[job.target], case, scratch))


def _case(target: Target, job: Job, folder: Path) -> Case:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return target.case(random.Random(f"{job.target.__name__} {job.seed} {job.number}"), folder)


def _used(target: Target, case: Case, folder: Path) -> Outcome:
    beside = set(folder.iterdir())
    _forget_most_memory()
    memory, start = _most_memory(), time.monotonic()
    kind, message = _judged(target, case)
    seconds, grown = time.monotonic() - start, _most_memory() - memory
    if kind in (ERROR, RIGHT) and grown > target.memory:
        kind, message = CRASH, f"takes {grown >> 20} MB; {message}"
    if stray := set(folder.iterdir()) - beside:
        kind, message = SILENT, f"wrote to {stray}"
    return Outcome(kind, message, seconds, grown)


def _judged(target: Target, case: Case) -> tuple[str, str]:
    try:
        return RIGHT, case.use() or ""
    except Wrong as fault:
        return SILENT, str(fault)
    except target.errors as error:
        fault = _fault(str(error), case.named)
        return (TRACEBACK, f"{fault}: {str(error)[:500]!a}") if fault else (ERROR, str(error))
    except BaseException:
        return TRACEBACK, traceback.format_exc()[-4000:]


def _fault(message: str, named: tuple[str, ...]) -> str:
    """Say why a message is not one that a program can show as a line, or return ''."""
    if len(message) >= _LONGEST_MESSAGE:
        return f"a message of {len(message)} characters"
    if not any(name in message for name in named):
        return f"the message names none of {named}"
    with contextlib.suppress(UnicodeEncodeError):
        message.encode()
        control = [character for character in message if ord(character) < 32 and character not in "\n\t"]
        return f"the message holds {control!a}" if control else ""
    return "the message holds half a character"


def _most_memory() -> int:
    """Return the most bytes that this process has had at once."""
    if sys.platform == "linux":  # where `getrusage` counts what the parent had, too
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _forget_most_memory() -> None:
    """Let `_most_memory` begin anew; only Linux can, elsewhere the growth beyond the highest so far is measured."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
