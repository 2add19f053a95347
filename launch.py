"""The launcher: the same line on one CPU, eight GPUs or a TPU slice.

python launch.py --config configs/demo.py --workdir runs/demo --mode train
python launch.py --config configs/demo.py --workdir runs/demo --mode train --config.train.steps=200
python launch.py --config configs/demo.py --workdir runs/demo --mode export
python launch.py --config configs/demo.py --workdir runs/demo --mode evaluate
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from configs import base
from fakedetect_jax import config as configuration

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment, a file in configs/.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, logs, detector, evaluation.")
_MODE = flags.DEFINE_enum("mode", "train", ["train", "export", "evaluate"], "What to do.")


def main(_: list[str]) -> None:
    """Checks the config and does what --mode says."""
    config, workdir = _CONFIG.value, _WORKDIR.value
    configuration.validate(config, base.get_config())
    # Imported late: a wrong config should fail before the seconds that these take.
    if _MODE.value == "train":
        from fakedetect_jax.training.loop import train

        train(config, workdir)
    elif _MODE.value == "export":
        from fakedetect_jax.export import export

        print(f"detector: {export(config, workdir)}")
    else:
        from fakedetect_jax.evaluation.evaluate import evaluate
        from fakedetect_jax.export import FOLDER

        print(f"report: {evaluate(config, workdir, detector_folder=Path(workdir) / FOLDER)}")


def parse_flags(arguments: list[str]) -> list[str]:
    """Parses the command line; an override of a field that does not exist is told which ones do."""
    try:
        return app.parse_flags_with_usage(arguments)
    except AttributeError as error:
        overrides = [argument for argument in arguments if argument.startswith("--config.")]
        known = [configuration.known_fields(override, base.get_config()) for override in overrides]
        sys.exit(f"launch.py: unknown field: {error}\n" + "\n".join(filter(None, known)))


def run(arguments: list[str]) -> None:
    """Runs main; a mistake of the user's gets a sentence, not a traceback."""
    logging.set_verbosity(logging.ERROR)  # orbax and TFDS tell of every step that they take
    try:
        main(arguments)
    except (ValueError, FloatingPointError) as error:
        sys.exit(f"launch.py: {error}")


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(run, flags_parser=parse_flags)
