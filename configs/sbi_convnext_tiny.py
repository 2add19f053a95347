"""The real recipe: ConvNeXt-Tiny on FaceForensics++ reals, fakes by self-blending, tested across datasets.

fakedetect build faceforensics --source DIR --out data      (and celeb_df, dfdc, deeperforensics, wild_deepfake)
python launch.py --config configs/sbi_convnext_tiny.py --workdir runs/sbi_tiny --mode train
python launch.py --config configs/sbi_convnext_tiny.py --workdir runs/sbi_tiny --mode export
python launch.py --config configs/sbi_convnext_tiny.py --workdir runs/sbi_tiny --mode evaluate

Begins, as SBI does, from a network that has seen ImageNet: timm's convnext_tiny.fb_in1k (Liu et al., 2022), which is
fetched from the Hugging Face hub once. It learns from the real videos of the official train split of FaceForensics++
alone, and its checkpoint is chosen on self-blended reals of the official validation split. Nothing of the other
datasets is ever trained or selected on. Videos of people who were seen in training are left out of the test: the real
videos of DeeperForensics are those of FaceForensics++, whose own splits share a few people.

Not run to its end yet: it has no figures of ours.
"""

from fakedetect_jax.config import Config
from fakedetect_jax.configs import base


def get_config() -> Config:
    """Returns the config."""
    config = base.get_config()
    config.name = "sbi_convnext_tiny"

    config.data.train.faceforensics = base.source("faceforensics/c23", "train", ("real",))
    config.data.threads = 16

    config.model.options = {
        "spatial": {"variant": "tiny", "drop_path": 0.1},
        "frequency": {"widths": (32, 64, 128, 256)},
        "temporal": {"layers": 4, "heads": 8, "dim": 512, "max_frames": 32},
        "dropout": 0.1,
        "dtype": "bfloat16",
    }
    config.model.init_from = "hf:timm/convnext_tiny.fb_in1k"
    config.model.init_source = "timm"
    config.optimizer.learning_rate = 4e-4
    config.optimizer.warmup_steps = 1000
    config.optimizer.ema_decay = 0.9998

    config.train.steps = 20_000
    config.train.batch_size = 64
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
