"""A target that does all that the others must not do, for the test of the harness."""

from __future__ import annotations

import ctypes
import random
import time
from pathlib import Path

from fakedetect_jax.errors import FakedetectError
from tests.fuzz.target import Case, Target, Wrong


class Misbehaving(Target):
    """What happens depends on the seed."""

    memory = 64 << 20

    def prepare(self) -> None:
        """Write nothing."""

    def case(self, rng: random.Random, folder: Path) -> Case:
        (folder / "a.bin").write_bytes(rng.randbytes(8))
        name = (folder / "a.bin").read_bytes().hex()
        return Case(lambda: self._use(folder), ("a.bin", name))

    def _use(self, folder: Path) -> None:
        """Do what the class attribute says that a subclass sets."""
        raise NotImplementedError


class Names(Misbehaving):
    def _use(self, folder: Path) -> None:
        raise FakedetectError("a.bin: is bad; mend it")


class Returns(Misbehaving):
    def _use(self, folder: Path) -> None:
        pass


class Raises(Misbehaving):
    def _use(self, folder: Path) -> None:
        raise ValueError("invalid literal")


class NamesNothing(Misbehaving):
    def _use(self, folder: Path) -> None:
        raise FakedetectError("is bad")


class Talks(Misbehaving):
    def _use(self, folder: Path) -> None:
        raise FakedetectError("a.bin" + "x" * 5000)


class Clears(Misbehaving):
    def _use(self, folder: Path) -> None:
        raise FakedetectError("a.bin: \x1b[2J")


class Accepts(Misbehaving):
    def _use(self, folder: Path) -> None:
        raise Wrong("other numbers")


class Strays(Misbehaving):
    def _use(self, folder: Path) -> None:
        (folder.parent / "stray").write_text("x")


class Takes(Misbehaving):
    def _use(self, folder: Path) -> None:
        assert len(b"x" * (256 << 20)) > 0


class Hangs(Misbehaving):
    def _use(self, folder: Path) -> None:
        time.sleep(3600)


class Crashes(Misbehaving):
    def _use(self, folder: Path) -> None:
        ctypes.string_at(0)
