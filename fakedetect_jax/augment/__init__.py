"""Augmentation on the device: pure functions for jit that take one clip (key, frames, landmarks) to its frames."""

from fakedetect_jax.augment.crop import Crop, face_crop
from fakedetect_jax.augment.extensions import OtherFace
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.self_blend import Blend, augment_clip, self_blend

__all__ = ["Blend", "Crop", "OtherFace", "SelfBlendRecipe", "augment_clip", "face_crop", "self_blend"]
