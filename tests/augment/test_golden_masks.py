"""Masks against an independent implementation, written from the recipe without sight of this one.

golden/mask_by_scipy.py is that implementation; golden/golden.npz has its masks for a dozen drawn sets of parameters.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from fakedetect_jax.augment import mask as ours
from fakedetect_jax.augment.recipe import Draws, SelfBlendRecipe
from tests.augment.golden import mask_by_scipy as theirs

GOLDEN = np.load(Path(__file__).parent / "golden" / "golden.npz", allow_pickle=False)
SIZE = int(GOLDEN["size"])
# One of the twelve is softened without the recipe's canvas, which is not optional here.
CASES = np.flatnonzero(GOLDEN["has_canvas"]).tolist()


def uniform(value, low, high):
    """Return the number in [0, 1) that draws the whole number `value` from a range."""
    return (value - low + 0.5) / (high + 1 - low)


def fields(case):
    return [theirs.field_from_knots(knots, SIZE, int(GOLDEN["knot_step"])) for knots in GOLDEN["knots"][case]]


def our_mask(case, monkeypatch):
    pad = round(ours._PAD * SIZE)
    padded = [jnp.asarray(np.pad(field, pad, mode="edge"), jnp.float32) for field in fields(case)]
    monkeypatch.setattr(ours, "elastic_displacement", lambda *_, **__: padded)
    one_hull = tuple(float(number == (GOLDEN["use"][case] == 68)) for number in range(8))
    recipe = SelfBlendRecipe(size=SIZE, hulls=one_hull)
    width, height = GOLDEN["canvas"][case].tolist()
    numbers = [
        0.5,
        uniform(recipe.blend_ratios.index(GOLDEN["ratio"][case]), 0, len(recipe.blend_ratios) - 1),
        uniform(width, *recipe.mask_canvas),
        uniform(height, *recipe.mask_canvas),
        *(uniform(int(GOLDEN[f"{name}_kernel"][case]) // 2, 2, 12) for name in ("erode", "blur")),
        uniform(GOLDEN["blur_sigma"][case], *recipe.blur_sigma),
    ]
    draws = Draws(*[None] * len(Draws._fields))._replace(mask=jnp.array(numbers, jnp.float32))
    motion = ours.Motion(
        *(jnp.array(GOLDEN[name][case], jnp.float32) for name in ("centre", "scale", "shift"))
    )
    points = jnp.array(GOLDEN["points"][case][None], jnp.float32)
    face = jnp.array(GOLDEN["face"][case], jnp.float32)
    return np.asarray(ours.blend_mask(draws, points, motion=motion, face=face, recipe=recipe)[0])


def their_mask(case, **choices):
    return theirs.blend_mask(
        GOLDEN["points"][case][: int(GOLDEN["use"][case])],
        SIZE,
        displacement=fields(case) if GOLDEN["has_field"][case] else None,
        **{name: tuple(GOLDEN[name][case]) for name in ("scale", "shift", "centre", "face")},
        **{f"{name}_kernel": int(GOLDEN[f"{name}_kernel"][case]) for name in ("erode", "blur")},
        blur_sigma=float(GOLDEN["blur_sigma"][case]),
        ratio=float(GOLDEN["ratio"][case]),
        canvas=tuple(GOLDEN["canvas"][case].tolist()) if GOLDEN["has_canvas"][case] else None,
        **choices,
    )


def test_the_golden_masks_match_their_code():
    for case in (0, 5):
        np.testing.assert_allclose(
            their_mask(case), GOLDEN["mask"][case] / 255, atol=0.5 / 255 + 1e-6, rtol=0
        )


def test_both_implementations_make_the_same_masks(monkeypatch):
    """Other readings of the recipe differ by 0.011 (automatic second sigma) to 0.12 (no erosion) in the median."""
    draw_hull = theirs.draw_hull
    # As published: a mask of zeros and ones that includes its outline; warps take the nearest pixel.
    monkeypatch.setattr(theirs, "draw_hull", lambda points, size, *_: (draw_hull(points, size) > 0) * 1.0)
    differences = [
        (our_mask(case, monkeypatch) - their_mask(case, order=0, slack=1e-6)) / GOLDEN["ratio"][case]
        for case in CASES
    ]
    distances = [np.abs(difference).mean() for difference in differences]
    assert np.median(distances) < 0.006, distances
    assert max(distances) < 0.012, distances
    # Neither is systematically larger.
    areas = [difference.mean() for difference in differences]
    assert abs(np.median(areas)) < 0.003, areas
