"""Make the pictures of docs/sbi.md from the vendored clips: `python docs/sbi_pictures.py`."""

from dataclasses import replace
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from fakedetect_jax.augment import Blend, SelfBlendRecipe, self_blend
from fakedetect_jax.augment.hull import HULLS
from fakedetect_jax.augment.recipe import TEMPORAL
from fakedetect_jax.faces import extract_faces

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests/fixtures"
SIZE = 176
# Strong enough to be visible on a page.
VISIBLE = SelfBlendRecipe(size=SIZE, flip=0.0, jpeg=0.0, blend_ratios=(1.0,), change_source=1.0)


def load(path: Path, frames: int, every: int) -> tuple[jax.Array, jax.Array]:
    """Return stored crops [frames, s, s, 3] in [0, 1] and landmarks of the first face of a video or an image."""
    sequence = extract_faces(path)[0]
    chosen = slice(0, frames * every, every)
    images = np.stack(
        [
            cv2.imdecode(np.frombuffer(f, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            for f in sequence.frames[chosen]
        ]
    )
    return jnp.asarray(images, jnp.float32) / 255.0, jnp.asarray(sequence.landmarks[chosen], jnp.float32)


def row(blend: Blend, frame: int = 0) -> np.ndarray:
    """Return real, mask, fake and four times their difference, side by side, uint8."""
    real, fake = (np.asarray(part[frame]) for part in (blend.real, blend.fake))
    mask = np.repeat(np.asarray(blend.mask[frame]), 3, axis=-1)
    difference = np.clip(0.5 + 4.0 * (fake - real), 0.0, 1.0)
    return np.round(np.concatenate([real, mask, fake, difference], axis=1) * 255).astype(np.uint8)


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """Return the picture with a line of text above it."""
    bar = np.full((22, *picture.shape[1:]), 255, np.uint8)
    cv2.putText(bar, text, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture], axis=0)


def save(name: str, rows: list[np.ndarray]) -> None:
    """Write rows of equal width under each other."""
    picture = np.concatenate(rows, axis=0)
    cv2.imwrite(str(ROOT / "docs" / name), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def hulls() -> None:
    """Draw one row for each hull."""
    frames, landmarks = load(FIXTURES / "astronaut.jpg", 1, 1)
    half = []
    for number, name in enumerate(HULLS):
        recipe = replace(VISIBLE, hulls=tuple(float(hull == name) for hull in HULLS))
        blend = jax.jit(lambda key, recipe=recipe: self_blend(key, frames, landmarks, recipe=recipe))(
            jax.random.key(40 + number)
        )
        half.append(labelled(row(blend), f"{name}: real, mask, fake, difference x 4"))
    columns = [np.concatenate(half[start : start + 4], axis=0) for start in (0, 4)]
    save("sbi_hulls.jpg", [np.concatenate(columns, axis=1)])


def temporal() -> None:
    """Draw six frames of the fake for each mode, and below them what it changed."""
    frames, landmarks = load(FIXTURES / "face.mp4", 6, 2)
    rows = []
    for mode in TEMPORAL:
        recipe = replace(VISIBLE, temporal=mode, drift=(0.03, 0.03), hulls=(1.0, 0, 0, 0, 0, 0, 0, 0))
        blend = jax.jit(lambda key, recipe=recipe: self_blend(key, frames, landmarks, recipe=recipe))(
            jax.random.key(7)
        )
        fake = np.concatenate(list(np.asarray(blend.fake)), axis=1)
        difference = np.concatenate(list(np.asarray(blend.fake - blend.real)), axis=1)
        both = np.concatenate([fake, np.clip(0.5 + 4.0 * difference, 0.0, 1.0)], axis=0)
        rows.append(labelled(np.round(both * 255).astype(np.uint8), f"{mode}: fake, difference x 4"))
    save("sbi_time.jpg", rows)


if __name__ == "__main__":
    hulls()
    temporal()
