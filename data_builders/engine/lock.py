"""A lock that allows one build of a dataset at a time, on all machines that see its folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fakedetect_jax.errors import FakedetectError

# What file systems say that have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
# Where Linux has a name of its own for each start of the machine.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class BuildLocked(FakedetectError):
    """Another build of the same dataset is at work; the message names it, and what to remove if it is dead."""


class _Owner(NamedTuple):
    """The build that made a lock file.

    Attributes:
        host: Name of its machine or container.
        boot: The running kernel, '' where the system does not tell; the containers of a machine share it.
        pid: Number of its process, as its container counts.
    """

    host: str
    boot: str
    pid: int

    @classmethod
    def this(cls) -> _Owner:
        try:
            boot = _BOOT_ID.read_text().strip()
        except OSError:
            boot = ""
        return cls(socket.gethostname(), boot, os.getpid())

    def shares_machine(self, other: _Owner) -> bool:
        """Return whether both run, or before a restart ran, on one machine."""
        return self.host == other.host or (bool(self.boot) and self.boot == other.boot)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, and make its folders if needed.

    The system, too, locks the file, until the process ends: the file of a dead build is known by that, and taken over.
    Between machines not every file system passes such locks on. So the file alone keeps other machines out, and one
    that a dead build of another machine left has to be removed by hand.

    Raises:
        BuildLocked: Another build holds it, or a build of another machine left it.
    """
    while (descriptor := _create(path)) is None and (descriptor := _take_over(path)) is None:
        pass
    try:
        _write(descriptor, _Owner.this())
        yield
    finally:
        if _is_at(path, descriptor):
            path.unlink()
        os.close(descriptor)


def _create(path: Path) -> int | None:
    """Return a new file, locked as far as the file system can, or None if there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    except (
        FileExistsError,
        FileNotFoundError,
    ):  # the latter if another build has just removed the empty folder
        return None
    try:
        # Another build may have found the file in the meantime, and lets it go when it has seen that it is empty.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            path.unlink()
            os.close(descriptor)
            raise
    return descriptor


def _take_over(path: Path) -> int | None:
    """Return a dead build's file, locked, or None if it has just been removed.

    Raises:
        BuildLocked: The build is alive, or nothing tells that it is dead.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise BuildLocked(_refusal(path)) from None
    with contextlib.ExitStack() as closing:
        closing.callback(os.close, descriptor)
        if not _try_lock(descriptor):
            raise BuildLocked(_refusal(path))
        if not _is_at(path, descriptor):
            return None
        owner = _read(path)
        if owner is None or not owner.shares_machine(_Owner.this()):
            raise BuildLocked(_refusal(path))
        closing.pop_all()
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (*_NO_LOCKS, errno.EACCES, errno.EWOULDBLOCK):
            return False
        raise
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether a path is that of an open file, and not of none, or of another that was made later."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write(descriptor: int, owner: _Owner) -> None:
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(owner._asdict()).encode(), 0)


def _read(path: Path) -> _Owner | None:
    """Return who made a lock file, or None if it does not say."""
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    match fields:
        case {"host": str(host), "boot": str(boot), "pid": int(pid)}:
            return _Owner(host, boot, pid)
    return None


def _refusal(path: Path) -> str:
    owner = _read(path)
    who = f"process {owner.pid} on {owner.host!r}" if owner else "an unknown process"
    return (
        f"another build of this dataset is at work: {who} holds {path}. Wait for it to end; if no build runs there, "
        f"remove {path}"
    )
