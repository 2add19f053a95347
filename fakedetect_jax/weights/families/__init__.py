"""Sources whose weights can be read: for each source and kind of trunk, its names for the parts."""

from fakedetect_jax.weights.families import (
    convnext,
    efficientnet,
    i3d,
    m2tr,
    mesonet,
    r2plus1d,
    resnet,
    vit,
    xception,
)
from fakedetect_jax.weights.naming import Family

# source: {kind of trunk, as in naming.TRUNKS: family}
SOURCES: dict[str, dict[str, Family]] = {
    "timm": {
        "convnext": convnext.TIMM,
        "convnext_v2": convnext.TIMM,
        "resnet": resnet.TORCHVISION,
        "efficientnet": efficientnet.TIMM,
        "xception": xception.TIMM,
        "vivit": vit.TIMM,
    },
    "torchvision": {
        "convnext": convnext.TORCHVISION,
        "resnet": resnet.TORCHVISION,
        "r2plus1d": r2plus1d.TORCHVISION,
        "i3d": i3d.TORCHVISION,
    },
    "transformers": {
        "convnext": convnext.TRANSFORMERS,
        "convnext_v2": convnext.TRANSFORMERS,
        "efficientnet": efficientnet.TRANSFORMERS,
        "resnet": resnet.TRANSFORMERS,
        "vivit": vit.TRANSFORMERS,
    },
    "convnext": {"convnext": convnext.AUTHORS, "convnext_v2": convnext.AUTHORS},
    "efficientnet-pytorch": {"efficientnet": efficientnet.EFFICIENTNET_PYTORCH},
    "sbi": {"efficientnet": efficientnet.SBI},
    "m2tr": {"m2tr": m2tr.AUTHORS},
    "mesonet": {"meso4": mesonet.MESO4, "meso_inception4": mesonet.MESO_INCEPTION4},
}
