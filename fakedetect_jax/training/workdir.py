"""The folder of a run: what lies in it, and one process at a time for each kind of work in it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath, make_folder

CHECKPOINTS = "checkpoints"
DETECTOR = "detector"
EVALUATION = "evaluation"
# Some network file systems have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Lock(NamedTuple):
    """A lock file, by its name in the work folder, and what its holder does there."""

    name: str
    does: str


TRAINING = Lock("training.lock", "trains")
EXPORT = Lock("export.lock", "exports a detector")
EVALUATING = Lock("evaluation.lock", "evaluates")


class WorkdirInUse(FakedetectError):
    """A folder in which another process does the same."""


@contextlib.contextmanager
def reserved(workdir: AnyPath, lock: Lock) -> Iterator[None]:
    """Keep others from doing the same in `workdir`, on this machine and on those that share its file system.

    Two runs would remove each other's checkpoints, and mix the files of their detectors or evaluations. The first
    process holds the lock for all processes of a run. The system releases the lock when the process ends, however that
    happens: a killed run leaves nothing that would keep it from resuming, on the same machine or another.

    A bucket has no locks: there, nothing keeps two runs apart.

    Raises:
        WorkdirInUse: another process does the same there; names it.
        OSError: the folder cannot be made or written to; names it.
    """
    if jax.process_index() > 0 or not isinstance(workdir, Path):
        yield
        return
    make_folder(workdir)
    path = workdir / lock.name
    # Unbuffered: what does not fit on a full disk would be tried again when the file is closed.
    with path.open("a+b", buffering=0) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                print(
                    f"{workdir}: its file system has no locks; make sure that nobody else {lock.does} there"
                )
            elif error.errno in (errno.EACCES, errno.EAGAIN):
                raise WorkdirInUse(
                    f"{workdir}: {_holder(path)} {lock.does} here; wait for its end, or give another --workdir"
                ) from None
            else:
                raise OSError(error.errno, error.strerror, str(path)) from error
        try:
            file.truncate(0)
            file.write(json.dumps({"host": platform.node(), "pid": os.getpid()}).encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        yield


def _holder(path: Path) -> str:
    try:
        document = json.loads(path.read_bytes())
        return f"process {document['pid']} of {document['host']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"
