"""What a fuzz target is: sound inputs, a way to damage them, the function under test, and what it may answer."""

from __future__ import annotations

import abc
import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

from fakedetect_jax.errors import FakedetectError


class Wrong(Exception):
    """A damaged input was accepted, and what came of it is not right: a silent acceptance."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One damaged input.

    Attributes:
        use: Gives the input to the function under test and checks what comes back. Returns if that is right, with what
            should be counted about it; raises `Wrong`, or what the function raises.
        named: Words of which the message of an error must hold one: the file, or the field.
    """

    use: Callable[[], str | None]
    named: tuple[str, ...]


class Target(abc.ABC):
    """A kind of input.

    Args:
        corpus: Folder of the sound inputs. Whoever comes first makes them.

    Attributes:
        errors: What a user may be told of a bad input.
        memory: Bytes that an input may take.
    """

    errors: tuple[type[Exception], ...] = (FakedetectError,)
    memory = 1 << 30

    def __init__(self, corpus: Path) -> None:
        self.corpus = corpus
        complete = corpus / ".complete"
        if not complete.exists():
            corpus.mkdir(parents=True, exist_ok=True)
            self.prepare()
            complete.touch()
        self.load()

    @abc.abstractmethod
    def prepare(self) -> None:
        """Write sound inputs to `corpus`."""

    def load(self) -> None:  # noqa: B027 (not all need it)
        """Read what `case` needs of them."""

    @abc.abstractmethod
    def case(self, rng: random.Random, folder: Path) -> Case:
        """Write an input, damaged as `rng` decides, to an empty folder."""
