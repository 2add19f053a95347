"""`fakedetect sweep`: train, export and evaluate every run of a config's sweep."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fakedetect_jax.cli import experiment
from fakedetect_jax.cli.program import NAME, importing
from fakedetect_jax.config import Config
from fakedetect_jax.config.compare import differences
from fakedetect_jax.errors import ConfigError, FakedetectError

if TYPE_CHECKING:
    from fakedetect_jax.files import AnyPath

# Written into a run's folder once the run is evaluated: the config that it was done with.
DONE = "done.json"


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser(
        "sweep",
        help="train, export and evaluate every run of a config's sweep",
        description="Train, export and evaluate every run that sweep() of the config file yields, one after another, "
        "each in a folder of its own below DIR. The same line again skips the runs that are done.",
        usage=f"{NAME} sweep --config CONFIG[:ARG] --workdir DIR [--config.FIELD=VALUE ...]",
        epilog=f"example: {NAME} sweep --config demo --workdir runs/demo_seeds --config.train.steps=200",
        allow_abbrev=False,
    )
    experiment.add_arguments(parser)
    parser.set_defaults(run=_run)


def run_sweep(reference: str, workdir: AnyPath, overrides: Sequence[str]) -> None:
    """Run a sweep, and go on after a run that fails with an error that names its remedy.

    Args:
        reference: path or name of a config, with its argument after a colon.
        workdir: folder of the sweep; each run has a folder in it that is named by what the run changes.
        overrides: arguments `--config.FIELD=VALUE` for every run; a field that the sweep itself changes ignores them.

    Raises:
        ConfigError: a config is wrong; nothing was run.
        FakedetectError: some runs failed; names them.
    """
    with importing(NAME):
        from fakedetect_jax.files import write_text

        runs = _load_runs(reference, overrides)
        experiment.start_jax()
        works = [mode.load() for mode in experiment.MODES.values()]
    failed = {}
    for number, (name, config) in enumerate(runs.items(), 1):
        print(f"{name} ({number} of {len(runs)})")
        folder = workdir / name
        if _is_done(folder, config):
            print(f"{folder}: done already")
            continue
        try:
            for work in works:
                work(config, folder)
        except FakedetectError as error:
            print(f"{name} failed: {error}")
            failed[name] = str(error)
        else:
            write_text(folder / DONE, json.dumps(config.to_dict(), indent=1))
    print(f"done: {', '.join(name for name in runs if name not in failed) or 'none'}")
    if failed:
        lines = "\n".join(f"{name}: {error}" for name, error in failed.items())
        raise FakedetectError(
            f"{len(failed)} of {len(runs)} runs failed; the same line tries them again\n{lines}"
        )


def _load_runs(reference: str, overrides: Sequence[str]) -> dict[str, Config]:
    """Return the config of each run by the name of its folder, all checked."""
    from fakedetect_jax.config.overrides import replace

    common, file = experiment.load(reference, overrides)
    runs: dict[str, Config] = {}
    with experiment.running_config_file():
        sweep = file.sweep()
    for changes in sweep:
        name, config = _folder_name(changes), replace(common, changes)
        experiment.check(config)
        if name in runs:
            raise ConfigError(
                f"sweep() of {file.name} yields two runs for one folder, {name!r}; make them differ"
            )
        runs[name] = config
    return runs


def _folder_name(changes: Mapping[str, Any]) -> str:
    """Return changes as one word, such as `optimizer.learning_rate=0.001,seed=1`."""
    words = [f"{field}={value}" for field, value in changes.items()]
    return re.sub(r"[^\w.,=+-]+", "_", ",".join(words)) or "unchanged"


def _is_done(folder: AnyPath, config: Config) -> bool:
    try:
        saved = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # killed before it was written, or damaged since
        return False
    return not differences(saved, config.to_dict())


def _run(arguments: argparse.Namespace) -> None:
    from fakedetect_jax.files import to_path

    run_sweep(arguments.config, to_path(arguments.workdir), arguments.overrides)
