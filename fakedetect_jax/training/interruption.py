"""A run that is asked to stop: by Ctrl-C, or by SIGTERM, as Slurm and spot machines send it before they kill."""

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
    """While entered, keeps Ctrl-C and SIGTERM for `asked`, once steps are `counted`; a second one stops at once.

    With several processes they must agree on the step to stop at: jax's service, which hears SIGTERM itself, sees to
    it, and Ctrl-C stops each at once.
    """

    def __init__(self) -> None:
        self.counted = False
        """Whether the run has come to its steps; before, there is nothing to save, and a signal stops at once."""
        self._number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        # Python lets the main thread alone hear signals.
        if threading.current_thread() is threading.main_thread():
            mine = (signal.SIGINT, signal.SIGTERM) if jax.process_count() == 1 else (signal.SIGINT,)
            # What was to be ignored, as Ctrl-C is by a job in the background, still is.
            heard = [number for number in mine if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._hear) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def asked(self, step: int) -> bool:
        """Says, after each step, whether to save it and stop."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self._number = signal.SIGTERM
        return self._number is not None

    def stop(self, step: int) -> Stopped:
        """Returns what to raise when the step is saved."""
        return Stopped(f"stopped at step {step}; the same line goes on from step {step}", self._number or 0)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        # Kept in any case: code that is interrupted before the first step may swallow the exception.
        again, self._number = self._number is not None, number
        if again or not self.counted or jax.process_count() > 1:
            raise Stopped(f"stopped; {_GOES_ON}", number)
        print("\nstopping as soon as this step is saved; a second signal stops at once", file=sys.stderr)
