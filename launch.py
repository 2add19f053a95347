"""Train, export or evaluate with absl's flags; `fakedetect train`, `export` and `evaluate` do the same.

python launch.py --config configs/demo.py --workdir runs/demo --mode train
python launch.py --config configs/demo.py --workdir runs/demo --mode train --config.train.steps=200
python launch.py --config configs/demo.py --workdir runs/demo --mode train --config.model.options.dropout=0.1
python launch.py --config configs/demo.py --workdir runs/demo --mode export
python launch.py --config configs/demo.py --workdir runs/demo --mode evaluate
"""

from __future__ import annotations

import sys

from absl import flags

from fakedetect_jax.cli import experiment
from fakedetect_jax.cli.program import EXIT_CODES, path, run_program
from fakedetect_jax.errors import ConfigError

NAME = "launch.py"
_CONFIG = flags.DEFINE_string(
    "config", None, "A config file, or the name of one of the package.", required=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run: checkpoints, logs, results.", required=True
)
_MODE = flags.DEFINE_enum("mode", "train", [*experiment.MODES], "What to do.")


def launch() -> None:
    """Run the mode that the command line names."""
    if {"-h", "-help", "--help"} & set(sys.argv):
        print(f"{__doc__}\n{EXIT_CODES}\n{flags.FLAGS.main_module_help()}")
        return
    flags.FLAGS.set_gnu_getopt(
        True
    )  # else the value in `--config.train.steps 200` would hide the flags behind it
    try:
        overrides = flags.FLAGS(sys.argv, known_only=True)[1:]
    except flags.Error as error:
        raise ConfigError(f"{error}\n--help shows what can be given") from error
    experiment.run_mode(
        NAME, _MODE.value, config=path(_CONFIG.value), workdir=path(_WORKDIR.value), overrides=overrides
    )


if __name__ == "__main__":
    run_program(NAME, launch)
