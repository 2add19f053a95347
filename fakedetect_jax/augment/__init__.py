"""Augmentation on the device: pure, jitted functions (key, frames, landmarks) -> frames of one clip."""

from fakedetect_jax.augment.crop import Crop, face_crop
from fakedetect_jax.augment.other_face import OtherFace
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.self_blend import Blend, self_blend
from fakedetect_jax.augment.view import augment_clip

__all__ = ["Blend", "Crop", "OtherFace", "SelfBlendRecipe", "augment_clip", "face_crop", "self_blend"]
