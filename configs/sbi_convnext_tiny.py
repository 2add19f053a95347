"""The recipe for FaceForensics++: a ConvNeXt trained on its real videos, and tested across datasets.

fakedetect build faceforensics --source DIR --out data
fakedetect train --config sbi_convnext_tiny --workdir runs/sbi_tiny
fakedetect export --config sbi_convnext_tiny --workdir runs/sbi_tiny
fakedetect evaluate --config sbi_convnext_tiny --workdir runs/sbi_tiny

Evaluation also needs celeb_df, dfdc, deeperforensics and wild_deepfake, built in the same way. An argument chooses a
larger backbone: `--config sbi_convnext_tiny:small`, or `base`.

As SBI does, it starts from a network that has seen ImageNet: timm's weights of ConvNeXt (Liu et al., 2022), fetched
once from the Hugging Face hub. It trains on the real videos of the official train split of FaceForensics++ alone, with
self-blended fakes. Self-blended reals of the official validation split choose the checkpoint. Nothing is trained or
selected on the other datasets. The test leaves out videos of people seen in training: the real videos of
DeeperForensics are those of FaceForensics++, whose own splits share a few people.

It has not been run to its end yet, so there are no figures.
"""

from fakedetect_jax.config import Config
from fakedetect_jax.configs import base

# Stochastic depth of each variant in its own training on ImageNet (Liu et al., 2022, table 5).
_DROP_PATH = {"tiny": 0.1, "small": 0.4, "base": 0.5}


def get_config(arg: str = "") -> Config:
    """Return the config for a variant of ConvNeXt: "tiny" (the default), "small" or "base"."""
    base.check_argument(arg, tuple(_DROP_PATH))
    variant = arg or "tiny"
    config = base.get_config()
    config.name = f"sbi_convnext_{variant}"

    config.data.train.faceforensics = base.source("faceforensics/c23", "train", ("real",))
    config.data.threads = 16

    config.model.options = {
        "spatial": {"variant": variant, "drop_path": _DROP_PATH[variant]},
        "frequency": {"widths": (32, 64, 128, 256)},
        "temporal": {"layers": 4, "heads": 8, "dim": 512, "max_frames": 32},
        "dropout": 0.1,
    }
    config.model.init_from = f"hf:timm/convnext_{variant}.fb_in1k"
    config.model.init_source = "timm"
    config.optimizer.learning_rate = 4e-4
    config.optimizer.warmup_steps = 1000
    config.optimizer.ema_decay = 0.9998

    config.train.steps = 20_000
    config.train.batch_size = 64
    config.train.dtype = "bfloat16"
    config.train.log_every = 50
    config.train.checkpoint_every = 1000

    config.validation.sources.faceforensics = base.source("faceforensics/c23", "validation", ("real",))
    config.validation.every = 1000
    config.validation.batch_size = 64

    config.evaluation.batch_size = 64
    for name, dataset in {
        "faceforensics": "faceforensics/c23",
        "celeb_df": "celeb_df/v2",
        "dfdc": "dfdc/full",
        "deeperforensics": "deeperforensics/end_to_end",
        "wild_deepfake": "wild_deepfake",
    }.items():
        config.evaluation.sources[name] = base.source(dataset, "test", shared_people="drop")
    return config
