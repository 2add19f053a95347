"""The real recipe: ConvNeXt-Tiny on FaceForensics++ reals, fakes by self-blending, tested across datasets.

fakedetect build faceforensics --source DIR --out data      (and celeb_df, dfdc, deeperforensics, wild_deepfake)
python launch.py --config configs/sbi_convnext_tiny.py --workdir runs/sbi_tiny --mode train
python launch.py --config configs/sbi_convnext_tiny.py --workdir runs/sbi_tiny --mode export
python launch.py --config configs/sbi_convnext_tiny.py --workdir runs/sbi_tiny --mode evaluate

Not run to its end yet: it has no figures of ours. Reals of the official train split only; the checkpoint is chosen
on self-blended reals of the official validation split; nothing of the other datasets is ever trained or selected on.
"""

from configs import base
from fakedetect_jax.config import Config


def get_config() -> Config:
    """Returns the config."""
    config = base.get_config()
    config.name = "sbi_convnext_tiny"

    config.data.train.faceforensics = base.source("faceforensics/c23", "train", ("real",))
    config.data.frames = 8
    config.data.stride = 4
    config.data.threads = 16

    config.input.recipe.size = 224

    config.model.options = {
        "spatial": {"variant": "tiny", "drop_path": 0.1, "gelu": "tanh"},
        "frequency": {"widths": (32, 64, 128, 256)},
        "temporal": {"layers": 4, "heads": 8, "dim": 512, "max_frames": 32},
        "dropout": 0.1,
        "dtype": "bfloat16",
    }
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
    config.validation.repeats = 4

    config.evaluation.batch_size = 64
    config.evaluation.clips = 4
    for name, dataset in {
        "faceforensics": "faceforensics/c23",
        "celeb_df": "celeb_df/v2",
        "dfdc": "dfdc/full",
        "deeperforensics": "deeperforensics/end_to_end",
        "wild_deepfake": "wild_deepfake",
    }.items():
        config.evaluation.sources[name] = base.source(dataset, "test")
    return config
