"""A lock that allows one build of a dataset at a time, on all machines that see its folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fakedetect_jax.errors import FakedetectError


class BuildLocked(FakedetectError):
    """Another build of the same dataset is at work; the message names it, and what to remove if it is dead."""


class _Owner(NamedTuple):
    host: str
    pid: int
    started: str


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` and make its folders if needed. The lock of a dead process of this host is taken over.

    Raises:
        BuildLocked: Another build holds it.
    """
    pid = os.getpid()
    mine = json.dumps(_Owner(socket.gethostname(), pid, _start_of(pid))._asdict())
    while not _create(path, mine):
        there = _read(path)
        if there is not None:
            if not _is_dead(there):
                raise BuildLocked(_refusal(path, there))
            _remove_dead(path, there)
    try:
        yield
    finally:
        if _read(path) == mine:
            path.unlink()


def _create(path: Path, content: str) -> bool:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            break
        except FileExistsError:
            return False
        except FileNotFoundError:
            # Another build has just removed the empty folder.
            continue
    try:
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _owner(content: str) -> _Owner | None:
    try:
        fields = json.loads(content)
    except ValueError:
        return None
    match fields:
        case {"host": str(host), "pid": int(pid), "started": str(started)} if pid > 0:
            return _Owner(host, pid, started)
    return None


def _is_dead(content: str) -> bool:
    owner = _owner(content)
    if owner is None or owner.host != socket.gethostname() or os.name == "nt":
        return False  # on Windows, os.kill below would end the process
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is alive and belongs to another user
    # The system reuses process numbers, after a restart at the latest.
    return owner.started != _start_of(owner.pid)


def _start_of(pid: int) -> str:
    """Return when a process began, in the system's own units, or '' where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    # The second field is the program's name in parentheses, which may hold spaces.
    return status.rpartition(")")[2].split()[19]


def _remove_dead(path: Path, content: str) -> None:
    """Remove a dead lock. Of several builds that find it, only the one that makes the guard file may do so.

    Raises:
        BuildLocked: Another build is removing it.
    """
    guard = path.with_name(f"{path.name}.removing")
    if not _create(guard, content):
        raise BuildLocked(_refusal(guard, content))
    try:
        if _read(path) == content:
            path.unlink()
    finally:
        guard.unlink()


def _refusal(path: Path, content: str) -> str:
    owner = _owner(content)
    who = f"process {owner.pid} on {owner.host!r}" if owner else "an unknown process"
    return (
        f"another build of this dataset is at work: {who} holds {path}. Wait for it to end; if no build runs there, "
        f"remove {path}"
    )
