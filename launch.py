"""The launcher: the same line on one CPU, eight GPUs or a TPU slice.

python launch.py --config configs/demo.py --workdir runs/demo --mode train
python launch.py --config configs/demo.py --workdir runs/demo --mode train --config.train.steps=200
python launch.py --config configs/demo.py --workdir runs/demo --mode train --config.model.options.dropout=0.1
python launch.py --config configs/demo.py --workdir runs/demo --mode export
python launch.py --config configs/demo.py --workdir runs/demo --mode evaluate

Exit codes: 0 done; 1 an error that the last line names, with its remedy; 2 a wrong command line or config; 70 a bug,
whose traceback is shown; 130 stopped by Ctrl-C; 143 stopped by SIGTERM, as Slurm and spot machines send it. Training
that was stopped, or killed, goes on when the same line is started again.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from fakedetect_jax.cli.program import importing, run_program

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment, a file in configs/.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, logs, detector, evaluation.")
_MODE = flags.DEFINE_enum("mode", "train", ["train", "export", "evaluate"], "What to do.")


def launch() -> None:
    """Runs the command line."""
    app.define_help_flags()
    logging.set_verbosity(logging.FATAL)  # orbax logs every step, and each error that it raises as well
    with importing("launch.py"):
        config, workdir = parse(sys.argv)
        # After the check of the config, which should not have to wait for the seconds that this takes.
        from fakedetect_jax.parallel import keep_compiled_programs

        work = {"train": _train, "export": _export, "evaluate": _evaluate}[_MODE.value]()
    keep_compiled_programs()
    work(config, workdir)


def _train() -> Callable[[Any, Path], object]:
    from fakedetect_jax.experiment import train

    return train


def _export() -> Callable[[Any, Path], object]:
    from fakedetect_jax.experiment import export

    return lambda config, workdir: print(f"detector: {export(config, workdir)}")


def _evaluate() -> Callable[[Any, Path], object]:
    from fakedetect_jax.experiment import evaluate

    return lambda config, workdir: print(f"report: {evaluate(config, workdir)}")


def parse(arguments: list[str]) -> tuple[Any, Path]:
    """Returns the config, overridden and checked, and the folder of the run; a wrong command line ends the program."""
    from fakedetect_jax.config import model_options
    from fakedetect_jax.config.check import validate
    from fakedetect_jax.configs import base
    from fakedetect_jax.errors import ConfigError

    try:
        others, options = model_options.split(arguments)
        sys.argv = others  # where config_flags looks for the overrides of fields
        _parse_flags(others, base.get_config())
        config = _CONFIG.value
        if options:
            changed = model_options.override(config.model.name, config.model.options.to_dict(), options)
            with config.unlocked():
                config.model.options = changed
        validate(config, base.get_config())
    except ConfigError as error:
        _refuse(str(error))
    config.data.folder = os.path.expanduser(config.data.folder)
    return config, Path(_WORKDIR.value).expanduser()


def _parse_flags(arguments: list[str], reference: Any) -> None:
    from fakedetect_jax.config.check import known_fields

    try:
        left = flags.FLAGS(arguments)
        _CONFIG.value.lock()  # raises what config_flags has kept to itself: that there is no such file
    except OSError as error:
        _refuse(f"the config file cannot be read: {' '.join(str(error).split())}")
    except flags.Error as error:
        _refuse(f"{error}\n--help tells what there is")
    except Exception as error:  # whatever the code of a config file raises
        overrides = [argument for argument in arguments if argument.startswith("--config.")]
        known = [words for override in overrides if (words := known_fields(override, reference))]
        if not known:
            traceback.print_exc()
            _refuse("the config file fails, as shown above")
        _refuse("\n".join([f"unknown field: {error}", *known]))
    if len(left) > 1:
        _refuse(f"{left[1]!r} is not known: every argument begins with --, and --help tells what there is")


def _refuse(message: str) -> NoReturn:
    print(f"launch.py: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    run_program("launch.py", launch)
