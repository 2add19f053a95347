"""Self-blending as published, in two readings: `SelfBlendRecipe()` itself goes beyond both."""

from typing import Any

from fakedetect_jax.augment.recipe import SelfBlendRecipe

# One of four families; the single hull leaves the forehead out one time in four.
_FOUR_FAMILIES = (0.1875, 0.0625, 0.25, 0.25, 0.25, 0.0, 0.0, 0.0)
_SINGLE_HULL = (0.75, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
# The released code shifts hue (of 180), saturation and value (of 255) by up to 0.3 of one level.
_HSV_LEVELS = 0.3


def paper(**changes: Any) -> SelfBlendRecipe:
    """What Shiohara and Yamasaki (CVPR 2022) describe: all four mask families, every change with an effect.

    The paper gives no size for the changes of hue, saturation and value; those of `SelfBlendRecipe` stand in.
    `changes` are fields to set otherwise.
    """
    return SelfBlendRecipe(**{"hulls": _FOUR_FAMILIES} | changes)


def reference(**changes: Any) -> SelfBlendRecipe:
    """What the released code does as installed: 8-bit images, one hull, every frame by itself.

    Its mask families need another project's library, without which it takes the convex hull of all points, or
    of all but the forehead one time in four. Its colour changes go through 8-bit tables that cut to whole
    levels, and its shifts of hue, saturation and value are below one level: nothing, or one level down. Its
    mask has 8 bits too, zeros and ones, and a blur that is rounded to zeros and ones erodes nothing.
    """
    fields = {
        "hulls": _SINGLE_HULL,
        "temporal": "independent",
        "eight_bit": True,
        "erode_kernel": (1, 1),
        "source_hue": _HSV_LEVELS / 180.0,
        "source_saturation": _HSV_LEVELS / 255.0,
        "source_value": _HSV_LEVELS / 255.0,
        "shared_hue": _HSV_LEVELS / 180.0,
        "shared_saturation": _HSV_LEVELS / 255.0,
        "shared_value": _HSV_LEVELS / 255.0,
    }
    return SelfBlendRecipe(**fields | changes)
