"""Processes, mesh and shardings: the only file that knows the number of devices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fakedetect_jax.errors import FakedetectError

DATA = "data"


def keep_compiled_programs() -> None:
    """Keep programs that were compiled for a GPU or TPU on disk, so that the next start takes seconds.

    They go to fakedetect_jax/xla in the user's cache folder (XDG_CACHE_HOME or ~/.cache), unless
    JAX_COMPILATION_CACHE_DIR names another. Programs for CPUs are not kept: they compile quickly and depend on the kind
    of processor, while machines may share a home.
    """
    folder = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if folder is None and jax.default_backend() != "cpu":
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "fakedetect_jax" / "xla"))


def describe_devices(mesh: Mesh) -> str:
    """Say how many devices of which kind there are, and in how many processes."""
    kind = mesh.devices.flat[0].device_kind
    processes = f" in {jax.process_count()} processes" if jax.process_count() > 1 else ""
    return f"{mesh.size} x {kind}{processes}"


def make_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Return a mesh of `devices`, by default those of all processes, with one axis, over which batches are split."""
    devices = in_process_order(jax.devices() if devices is None else devices)
    return Mesh(np.array(devices), (DATA,), axis_types=(AxisType.Auto,))


def in_process_order(devices: Sequence[Any]) -> list[Any]:
    """Return devices in the order of their processes, which is the order of the rows of a batch.

    `jax.make_mesh` follows the wiring of a TPU slice, and would give one process's rows to another's devices.
    """
    return sorted(devices, key=lambda device: (device.process_index, device.id))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding in which every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def split_by_example(mesh: Mesh) -> NamedSharding:
    """Return the sharding in which the first axis, the batch, is split over the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def check_batch_size(batch_size: int, mesh: Mesh, field: str) -> None:
    """Check that a global batch divides by the devices.

    Raises:
        FakedetectError: names `field`, its value and the nearest value that works.
    """
    devices = mesh.size
    if batch_size < 1 or batch_size % devices:
        nearest = max(1, round(batch_size / devices)) * devices
        raise FakedetectError(
            f"{field}={batch_size} does not divide by the {devices} devices; use a multiple, e.g. {nearest}"
        )


def wait_for_all(what: str) -> None:
    """Wait until every process has reached `what`; with one process, return at once."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def to_global(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Put this process's rows on its devices, as its part of the global batch."""
    sharding = split_by_example(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()}
