"""Every model by name, with its options, the clip that it is made for, and its source."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from fakedetect_jax.models.detector import Detector
from fakedetect_jax.models.published import PUBLISHED
from fakedetect_jax.models.spatial import convnext, convnext_v2


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a name stands for.

    Attributes:
        model: the module.
        source: the paper.
        options: options that the name stands for.
        clip: length and side in pixels of the clip that the table measures.
        measured: further options for the table, for a model that has no parts by itself.
    """

    model: type[nn.Module]
    source: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    clip: tuple[int, int] = (1, 224)
    measured: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _image(source: str, size: int = 224, **spatial: Any) -> Entry:
    return Entry(Detector, source, {"spatial": spatial}, (1, size))


_CONVNEXT = "Liu et al., A ConvNet for the 2020s, CVPR 2022"
_SMALL_CONVNEXT = "Wightman, PyTorch Image Models, 2022 (after Liu et al., CVPR 2022)"
_CONVNEXT_V2 = "Woo et al., ConvNeXt V2, CVPR 2023"
_EFFICIENTNET = "Tan and Le, EfficientNet, ICML 2019"
_EFFICIENTNET_SIZES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528, "b7": 600}
_IN_PAPER = ("tiny", "small", "base", "large", "xlarge")

CATALOGUE: dict[str, Entry] = {
    "detector": Entry(
        Detector,
        "own composition: parts as their own rows, and the temporal parts of docs/models.md",
        clip=(8, 224),
        measured={"spatial": {"variant": "tiny"}, "frequency": {}, "temporal": {}},
    ),
    "frequency": Entry(
        Detector, "Wang et al., M2TR, ICMR 2022 (learnable filters on the spectrum)", {"frequency": {}}
    ),
    **{
        f"convnext_{variant}": _image(_CONVNEXT if variant in _IN_PAPER else _SMALL_CONVNEXT, variant=variant)
        for variant in convnext.VARIANTS
    },
    **{
        f"convnext_v2_{variant}": _image(_CONVNEXT_V2, name="convnext_v2", variant=variant)
        for variant in convnext_v2.VARIANTS
    },
    **{
        f"efficientnet_{variant}": _image(_EFFICIENTNET, size, name="efficientnet", variant=variant)
        for variant, size in _EFFICIENTNET_SIZES.items()
    },
    "efficientnet_lite0": _image("Liu, EfficientNet-Lite, 2020", name="efficientnet", variant="lite0"),
    "resnet_50": _image("He et al., CVPR 2016", name="resnet", variant="50"),
    "resnet_101": _image("He et al., CVPR 2016", name="resnet", variant="101"),
    "resnext_50": _image("Xie et al., CVPR 2017", name="resnet", variant="resnext50_32x4d"),
    "xception": _image("Chollet, CVPR 2017; layout of Roessler et al., ICCV 2019", 299, name="xception"),
    "meso4": Entry(PUBLISHED["meso4"], "Afchar et al., WIFS 2018", clip=(1, 256)),
    "meso_inception4": Entry(PUBLISHED["meso_inception4"], "Afchar et al., WIFS 2018", clip=(1, 256)),
    "resnext_lstm": Entry(
        PUBLISHED["resnext_lstm"], "ResNeXt-50 (Xie et al., CVPR 2017) with an LSTM", clip=(20, 112)
    ),
    "c3d": Entry(PUBLISHED["c3d"], "Tran et al., ICCV 2015", clip=(16, 112)),
    "i3d": Entry(PUBLISHED["i3d"], "Carreira and Zisserman, CVPR 2017", clip=(64, 224)),
    "r2plus1d_18": Entry(PUBLISHED["r2plus1d"], "Tran et al., CVPR 2018", {"layers": 18}, (16, 112)),
    "r2plus1d_34": Entry(
        PUBLISHED["r2plus1d"], "Tran et al., CVPR 2018", {"layers": 34, "middle": "conv"}, (32, 112)
    ),
    **{
        f"cnn3d_{part}": Entry(
            PUBLISHED["cnn3d"],
            f"R(2+1)D (Tran et al., CVPR 2018) and a {part} over time",
            {"temporal": part},
            (16, 112),
        )
        for part in ("gru", "lstm", "transformer")
    },
    "ftcn": Entry(PUBLISHED["ftcn"], "Zheng et al., ICCV 2021", clip=(32, 224)),
    **{
        f"vivit_{attention}": Entry(
            PUBLISHED["vivit"], "Arnab et al., ViViT, ICCV 2021", {"attention": attention}, (32, 224)
        )
        for attention in (
            "spacetime",
            "factorised_encoder",
            "factorised_self_attention",
            "factorised_dot_product",
        )
    },
    "m2tr": Entry(PUBLISHED["m2tr"], "Wang et al., M2TR, ICMR 2022", clip=(1, 320)),
    "st_gcn": Entry(PUBLISHED["st_gcn"], "Yan et al., AAAI 2018, on facial landmarks", clip=(64, 64)),
}
