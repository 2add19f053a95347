"""`fakedetect train`, `export` and `evaluate`: a mode of an experiment, for a config and a work folder.

launch.py runs the same modes from absl's flags.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fakedetect_jax.cli.config_files import BASE, ConfigFile, names, open_config
from fakedetect_jax.cli.program import NAME, importing, path
from fakedetect_jax.config import Config
from fakedetect_jax.errors import ConfigError, FakedetectError

if TYPE_CHECKING:
    from fakedetect_jax.files import AnyPath

Work = Callable[[Config, "AnyPath"], object]


class Mode(NamedTuple):
    """What an experiment can be asked to do.

    Attributes:
        load: imports the work and returns it, a function of the config and the work folder.
        description: what the work does, as a phrase for --help.
    """

    load: Callable[[], Work]
    description: str


_EXAMPLES = """
Any field of the config and any option of its model can be set. This file explains the fields:
{base}

  fakedetect {mode} --config demo --workdir runs/demo
  fakedetect {mode} --config demo --workdir runs/demo --config.train.steps=200
  fakedetect {mode} --config demo --workdir runs/demo --config.model.options.dropout=0.1
  fakedetect {mode} --config sbi_convnext_tiny:base --workdir runs/sbi_base
  fakedetect {mode} --config configs/mine.py --workdir runs/mine"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the subcommands that run a mode."""
    for mode, (_, description) in MODES.items():
        parser = commands.add_parser(
            mode,
            help=description,
            description=f"{description.capitalize()}.",
            epilog=_EXAMPLES.format(mode=mode, base=BASE),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            usage=f"{NAME} {mode} --config CONFIG[:ARG] --workdir DIR [--config.FIELD=VALUE ...]",
            allow_abbrev=False,
        )
        add_arguments(parser)
        parser.set_defaults(run=_run, mode=mode)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of an experiment: --config, --workdir, and overrides, which argparse leaves as they are."""
    parser.add_argument(
        "--config",
        required=True,
        type=path,
        metavar="CONFIG[:ARG]",
        help=f"a config file, or one that comes with the package: {', '.join(names())}; get_config receives ARG",
    )
    parser.add_argument(
        "--workdir",
        required=True,
        type=path,
        metavar="DIR",
        help="folder of the run: checkpoints, logs, detector and evaluation",
    )
    parser.set_defaults(overrides=[])


def run_mode(program: str, mode: str, *, config: str, workdir: str, overrides: Sequence[str]) -> None:
    """Run one mode of an experiment.

    Args:
        program: name of the program, for what it says when Ctrl-C ends its imports.
        mode: a key of `MODES`.
        config: path or name of a config, with its argument after a colon.
        workdir: folder of the run.
        overrides: the arguments `--config.FIELD=VALUE`.

    Raises:
        ConfigError: the config or an override is wrong.
        FakedetectError: the mode cannot be run; names what and the remedy.
    """
    with importing(program):
        from fakedetect_jax.files import to_path

        # A wrong config is refused before the seconds that the other imports take.
        chosen, _ = load(config, overrides)
        start_jax()
        work = MODES[mode].load()
    work(chosen, to_path(workdir))


def load(reference: str, overrides: Sequence[str]) -> tuple[Config, ConfigFile]:
    """Return a config with its overrides, checked, and the file that it is from.

    Raises:
        ConfigError: there is no such config, its file fails, or a field or its value is wrong.
    """
    from fakedetect_jax.config.overrides import override

    with running_config_file():
        file = open_config(reference)
        config = file.get_config()
    config = override(config, overrides)
    check(config)
    return config, file


@contextlib.contextmanager
def running_config_file() -> Iterator[None]:
    """Show the traceback of whatever the code of a config file raises, and raise ConfigError instead."""
    try:
        yield
    except FakedetectError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise ConfigError("the config file fails, as shown above") from error


def check(config: Config) -> None:
    """Check a config, and expand the ~ of its folder."""
    from fakedetect_jax.config.check import validate
    from fakedetect_jax.configs import base

    validate(config, base.get_config())
    config.data.folder = os.path.expanduser(config.data.folder)


def start_jax() -> None:
    """Do once what every mode needs: quieten the libraries' logs, and keep compiled programs on disk."""
    import absl.logging

    from fakedetect_jax.parallel import keep_compiled_programs

    absl.logging.set_verbosity(
        absl.logging.FATAL
    )  # orbax logs every step, and every error that it raises as well
    # Orbax writes each array in a task of its own: a full disk ends them all, and is told of once.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    keep_compiled_programs()


def _train() -> Work:
    from fakedetect_jax.experiment import train

    return train


def _export() -> Work:
    from fakedetect_jax.experiment import export

    return lambda config, workdir: print(f"detector: {export(config, workdir)}")


def _evaluate() -> Work:
    from fakedetect_jax.experiment import evaluate

    return lambda config, workdir: print(f"report: {evaluate(config, workdir)}")


# In the order in which an experiment runs them.
MODES = {
    "train": Mode(_train, "train a model, or go on from the newest checkpoint in the work folder"),
    "export": Mode(_export, "write the best checkpoint as a detector that anyone can use"),
    "evaluate": Mode(_evaluate, "measure the exported detector, and write the report"),
}


def _run(arguments: argparse.Namespace) -> None:
    run_mode(
        NAME,
        arguments.mode,
        config=arguments.config,
        workdir=arguments.workdir,
        overrides=arguments.overrides,
    )
