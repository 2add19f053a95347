"""Config files: found by path, or by the name of one that comes with the package."""

from __future__ import annotations

import dataclasses
import importlib
import os
import pkgutil
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from fakedetect_jax import configs
from fakedetect_jax.config import Config
from fakedetect_jax.errors import ConfigError

FOLDER = Path(configs.__path__[0])
# The config with every field, which is no experiment.
BASE = FOLDER / "base.py"


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """A config file that was imported.

    Attributes:
        name: path or name, as given.
        argument: the text for its get_config; '' for none.
        module: the imported file.
    """

    name: str
    argument: str
    module: ModuleType

    def get_config(self) -> Config:
        """Return the config for the argument.

        Raises:
            ConfigError: the file has no get_config, or it returns something else.
        """
        if not hasattr(self.module, "get_config"):
            raise ConfigError(f"{self.name} has no get_config(); configs/demo.py is an example")
        config = self.module.get_config(self.argument) if self.argument else self.module.get_config()
        from ml_collections import ConfigDict  # here, so that `fakedetect --help` need not wait for it

        if not isinstance(config, ConfigDict):
            raise ConfigError(f"get_config() of {self.name} returns {config!r}; it must return a ConfigDict")
        return config

    def sweep(self) -> list[dict[str, Any]]:
        """Return the overrides of each run of the sweep, as [{"seed": 0}, {"seed": 1}].

        Raises:
            ConfigError: the file has no sweep, it yields nothing, or something else than dicts.
        """
        if not hasattr(self.module, "sweep"):
            raise ConfigError(
                f'{self.name} has no sweep(); define one that yields overrides such as {{"seed": 1}}'
                " (configs/demo.py is an example)"
            )
        runs = list(self.module.sweep())
        if not runs:
            raise ConfigError(f"sweep() of {self.name} yields no runs")
        for run in runs:
            if not isinstance(run, dict):
                raise ConfigError(
                    f'sweep() of {self.name} yields {run!r}; it must yield dicts such as {{"seed": 1}}'
                )
        return runs


def names() -> list[str]:
    """Return the names of the configs that come with the package."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name != BASE.stem)


def open_config(reference: str) -> ConfigFile:
    """Import a config file.

    Args:
        reference: a path, or a name of `names`, either with an argument for its get_config after a colon: `demo`,
            `configs/sbi_convnext_tiny.py:base`.

    Raises:
        ConfigError: there is no such file or name.
        Exception: whatever the code of the file raises.
    """
    name, _, argument = reference.partition(":")
    if name.endswith(".py") or os.sep in name:
        return ConfigFile(name, argument, _import_file(Path(name)))
    if name not in names():
        raise ConfigError(
            f"no config named {name!r} comes with the package; it has {', '.join(names())}. Give a file of your own by"
            f" its path, such as {name or 'mine'}.py"
        )
    return ConfigFile(name, argument, importlib.import_module(f"{configs.__name__}.{name}"))


def _import_file(path: Path) -> ModuleType:
    name = f"{__name__}.{path.stem}"
    loader = SourceFileLoader(name, str(path))
    try:
        loader.get_data(str(path))
    except OSError as error:
        raise ConfigError(f"the config file cannot be read: {error}") from error
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses look up the module that they are defined in.
    sys.modules[name] = module
    loader.exec_module(module)
    return module
