"""The folder of a run: what lies in it, and one run in it at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import jax

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath

CHECKPOINTS = "checkpoints"
DETECTOR = "detector"
EVALUATION = "evaluation"
LOCK = "training.lock"
# Some network file systems have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class WorkdirInUse(FakedetectError):
    """A folder in which another process trains."""


@contextlib.contextmanager
def reserved(workdir: AnyPath) -> Iterator[None]:
    """Keep other runs from training in `workdir`, on this machine and on those that share its file system.

    Two runs would remove each other's checkpoints. The first process holds the lock for all processes of a run. The
    system releases the lock when the process ends, however that happens: a killed run leaves nothing that would keep
    it from resuming, on the same machine or another.

    A bucket has no locks: there, nothing keeps two runs apart.

    Raises:
        WorkdirInUse: another process trains there; names it.
    """
    if jax.process_index() > 0 or not isinstance(workdir, Path):
        yield
        return
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / LOCK
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                print(f"{workdir}: its file system has no locks; make sure that nobody else trains there")
            elif error.errno in (errno.EACCES, errno.EAGAIN):
                raise WorkdirInUse(
                    f"{workdir}: {_holder(path)} trains here; wait for its end, or give another --workdir"
                ) from None
            else:
                raise OSError(error.errno, error.strerror, str(path)) from error
        file.truncate(0)
        json.dump({"host": platform.node(), "pid": os.getpid()}, file)
        file.flush()
        yield


def _holder(path: Path) -> str:
    try:
        document = json.loads(path.read_bytes())
        return f"process {document['pid']} of {document['host']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"
