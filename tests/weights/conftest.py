"""Compilation dominates the tests that run a network."""

from collections.abc import Iterator

import jax
import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def quick_compilation() -> Iterator[None]:
    """Leave out the compiler's slow optimisations, and torch's threads, whose waiting takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
    torch.set_num_threads(threads)
