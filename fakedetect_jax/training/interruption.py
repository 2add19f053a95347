"""Requests to stop a run: Ctrl-C, and SIGTERM, which Slurm and spot machines send before they kill."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType

import jax
from jax.experimental import multihost_utils

from fakedetect_jax.errors import Stopped

_GOES_ON = "the same line goes on from the newest checkpoint"


class Interruption:
    """A context that reports Ctrl-C and SIGTERM through `asked` once steps are `counted`; a second one stops at once.

    Several processes must agree on the step to stop at: jax's service, which handles SIGTERM itself, takes care of
    that, and Ctrl-C stops each process at once.

    Attributes:
        counted: whether the run has reached its steps. Before, there is nothing to save, and a signal stops at once.
    """

    def __init__(self) -> None:
        self.counted = False
        self._number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        # Python delivers signals to the main thread only.
        if threading.current_thread() is threading.main_thread():
            mine = (signal.SIGINT, signal.SIGTERM) if jax.process_count() == 1 else (signal.SIGINT,)
            # A signal that was ignored, as Ctrl-C is by a background job, stays ignored.
            heard = [number for number in mine if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._hear) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def asked(self, step: int) -> bool:
        """Return, after each step, whether to save it and stop."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self._number = signal.SIGTERM
        return self._number is not None

    def stop(self, step: int) -> Stopped:
        """Return what to raise when the step is saved."""
        return Stopped(f"stopped at step {step}; the same line goes on from step {step}", self._number or 0)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        # Remembered in any case: code that is interrupted before the first step may swallow the exception.
        again, self._number = self._number is not None, number
        if again or not self.counted or jax.process_count() > 1:
            raise Stopped(f"stopped; {_GOES_ON}", number)
        print("\nstopping as soon as this step is saved; a second signal stops at once", file=sys.stderr)
