"""The branches and maps that a fusion reads, and the errors when they are missing."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError


def check_branches(owner: str, branches: int) -> None:
    """Raise unless there are two branches or more."""
    if branches < 2:
        raise FakedetectError(
            f"fusion {owner!r} joins two branches or more, got {branches}: take fusion 'concat'"
        )


def check_stage(owner: str, field: str, value: Any) -> None:
    """Raise unless `value` is a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise FakedetectError(
            f"{owner} {field}={value!r} must be a whole number: 0 is the finest map, -1 the coarsest"
        )


def stage_map(
    owner: str, maps: Sequence[Float[Array, "n _ _ _"]], stage: int, branch: int
) -> Float[Array, "n h w c"]:
    """Return the map of a stage; raise if the branch has no such map."""
    if not -len(maps) <= stage < len(maps):
        raise FakedetectError(
            f"fusion {owner!r} cannot read stage {stage} of branch {branch}, which has {len(maps)} maps: "
            f"stages count from 0, the finest, or back from -1, the coarsest"
        )
    return maps[stage]


def beside(joined: Float[Array, "n d"], features: Sequence[Float[Array, "n _"]]) -> Float[Array, "n d_all"]:
    """Return the joined features beside those of the other branches, in float32."""
    return jnp.concatenate([vector.astype(jnp.float32) for vector in (joined, *features)], axis=-1)
