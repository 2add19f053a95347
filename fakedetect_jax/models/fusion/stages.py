"""Which maps a fusion reads, and what it says when they are not there."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError


def check_branches(owner: str, branches: int) -> None:
    """ValueError unless there are two branches or more."""
    if branches < 2:
        raise FakedetectError(
            f"fusion {owner!r} joins two branches or more, got {branches}: take fusion 'concat'"
        )


def check_stage(owner: str, field: str, value: Any) -> None:
    """ValueError unless `value` is a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise FakedetectError(
            f"{owner} {field}={value!r} must be a whole number: 0 is the finest map, -1 the coarsest"
        )


def stage_map(
    owner: str, maps: Sequence[Float[Array, "n h_s w_s c_s"]], stage: int, branch: int
) -> Float[Array, "n h w c"]:
    """The map of a stage; ValueError if the branch has no such map."""
    if not -len(maps) <= stage < len(maps):
        raise FakedetectError(
            f"fusion {owner!r} is to read stage {stage} of branch {branch}, which has {len(maps)} maps: "
            f"stages go from 0, the finest, or up to -1, the coarsest"
        )
    return maps[stage]


def beside(joined: Float[Array, "n d"], features: Sequence[Float[Array, "n d_i"]]) -> Float[Array, "n d_all"]:
    """The joined features and those of branches that have no part in them, in float32."""
    return jnp.concatenate([vector.astype(jnp.float32) for vector in (joined, *features)], axis=-1)
