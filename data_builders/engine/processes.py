"""Worker processes with one video each, so that a decoder that hangs or crashes costs that video alone."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import enum
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

import cv2

from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.one_video import Work, failed
from fakedetect_jax.data_builders.engine.trouble import Trouble
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError

Done = Generator[tuple[VideoItem, Trouble | None], None, None]

# How often the workers are looked at, and a worker says that it goes on, in seconds.
_TICK = 1.0
# By these a program ends for what it does itself. Any other signal comes from outside, such as SIGKILL when memory
# runs out, or SIGBUS when a disk fails.
_CRASHES = ("SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIGTRAP")
_PR_SET_PDEATHSIG = 1


class _News(enum.Enum):
    """What a worker says before the `_End`."""

    BEGUN = enum.auto()
    PROGRESS = enum.auto()


class _End(NamedTuple):
    """How the work on a video ended; `failure` says what the video did to its process, if it ended that."""

    trouble: Trouble | None = None
    failure: str = ""
    worker_is_alive: bool = False


def in_processes(items: list[VideoItem], work: Work, journal: Journal, *, count: int, timeout: float) -> Done:
    """Yield the items as `count` processes have done them, each with what `work` returned.

    A video that crashes its process, or that begins and then makes no progress for `timeout` seconds, has failed; the
    journal says why. A process that something else ended is trouble.

    Raises:
        FakedetectError: A process ended before it could begin with a video.
    """
    waiting = collections.deque(items)
    workers: list[_Worker] = []
    count = min(count, len(items))
    try:
        before = time.monotonic()
        while waiting or workers:
            while waiting and len(workers) < count:
                workers.append(_Worker(work, waiting.popleft(), threads=max(1, _cores() // count)))
            wait([worker.pipe for worker in workers], _TICK)
            # Time in which this process was stopped, as by Ctrl-Z, does not count: then the others were too.
            now = time.monotonic()
            elapsed, before = min(now - before, 2 * _TICK), now
            for worker in list(workers):
                item, end = worker.item, worker.listen(elapsed, timeout)
                if end is None:
                    continue
                if end.worker_is_alive and waiting:
                    worker.give(waiting.popleft())
                else:
                    worker.end()
                    workers.remove(worker)
                if end.failure:
                    journal.write(item, failed(end.failure), [])
                yield item, end.trouble
    finally:
        for worker in workers:
            worker.end()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """A process and the video that it has.

    Attributes:
        pipe: Is readable when there is something to listen to.
        item: The video.
    """

    def __init__(self, work: Work, item: VideoItem, *, threads: int) -> None:
        # OpenCV can deadlock after a fork.
        context = multiprocessing.get_context("spawn")
        self.pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, work, threads), daemon=True)
        with _without_interrupts():
            self._process.start()
        # Now the pipe ends when the process does.
        far_end.close()
        self.give(item)

    def give(self, item: VideoItem) -> None:
        """Begin with the next video."""
        self.item, self._begun = item, False
        # The first progress starts the clock: to fetch or unpack a video may take as long as it likes.
        self._silence = -math.inf
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(item)

    def listen(self, elapsed: float, timeout: float) -> _End | None:
        """Return how the work on the video ended, or None while it goes on.

        Args:
            elapsed: Seconds since the last call.
            timeout: Seconds without any progress after which the work has ended.
        """
        self._silence += elapsed
        try:
            while self.pipe.poll():
                news = self.pipe.recv()
                if isinstance(news, _End):
                    return news
                self._begun = True
                if news is _News.PROGRESS:
                    self._silence = 0.0
        except (EOFError, ConnectionResetError):
            return self._explain_death()
        return self._give_up(timeout) if self._silence > timeout + 2 * _TICK else None

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        # A process that waits for a dead disk or network ends when that answers.
        self._process.join(5 * _TICK)
        self.pipe.close()

    def _explain_death(self) -> _End:
        self._process.join()
        code = self._process.exitcode or 0
        name = _signal_name(-code) if code < 0 else f"exit code {code}"
        if not self._begun:
            raise FakedetectError(
                f"a worker process ended ({name}) before it began with {self.item.key}; what it printed above says "
                "why. A script that builds needs its call below `if __name__ == '__main__':`, and one without a file "
                "needs --workers 0. Finished videos are kept, and the same command goes on from there"
            )
        if code >= 0 or name in _CRASHES:
            return _End(failure=f"the process that decoded it ended ({name}): the file crashes the decoder")
        reason = f"its process was ended from outside ({name})"
        if name == "SIGKILL":
            reason += ", most likely because memory ran out; take fewer --workers"
        return _End(Trouble(self.item.key, reason, traceback="", no_room=""))

    def _give_up(self, timeout: float) -> _End:
        if _waits_for_a_disk(self._process.pid):
            reason = f"a disk or a network did not answer for {timeout:g} seconds"
            return _End(Trouble(self.item.key, reason, traceback="", no_room=""))
        return _End(failure=f"no frame was decoded for {timeout:g} seconds: the file hangs the decoder")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _waits_for_a_disk(pid: int | None) -> bool:
    """Return whether Linux says that a process is in a call which only a device can end."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    # The second field is the program's name in parentheses, which may hold spaces.
    return status.rpartition(")")[2].split()[0] == "D"


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: a terminal sends it to all, and this one decides what follows."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Otherwise it is started with the first process, and lets the signal through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, work: Work, threads: int) -> None:
    """Do one video after the other; this is all that a worker process does."""
    _end_with_parent()
    _end_first_for_want_of_memory()
    cv2.setNumThreads(threads)
    # The pipe ends when the build was killed while this process was starting.
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            item = pipe.recv()
            pipe.send(_News.BEGUN)
            pipe.send(_End(work(item, _Pulse(pipe)), worker_is_alive=True))


class _Pulse:
    """Tells the build, now and then, that the work goes on; call it as often as you like."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = -math.inf

    def __call__(self) -> None:
        if time.monotonic() - self._last >= _TICK:
            self._last = time.monotonic()
            self._pipe.send(_News.PROGRESS)


def _end_with_parent() -> None:
    """End this process when the build's process ends: a killed build cannot ask for it."""
    if sys.platform == "linux":
        # This ends even a decoder that hangs and lets no thread of Python run.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _end_first_for_want_of_memory() -> None:
    """Ask Linux to end this process, and not the build, if memory runs out.

    A limit of its own would be wrong for most machines: address space is not memory, and threads reserve much of it.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
