"""The errors that are not bugs: what a user can mend, and a stop that a user asked for."""

from __future__ import annotations

import signal


class FakedetectError(ValueError):
    """Input that cannot be used: the message names the thing, its value and the remedy.

    The programs show such an error as one line. Every other exception is a bug of this project, or of the machine, and
    keeps its traceback.
    """


class ConfigError(FakedetectError):
    """A field of a config that does not exist, or a value that it cannot have."""


class Stopped(KeyboardInterrupt):
    """Work that ended early because Ctrl-C or a signal asked for it; the message says how to go on.

    A KeyboardInterrupt, so that no `except Exception` takes it for a failure.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number
        """The signal."""
