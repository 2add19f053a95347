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

# Has every field, and is no experiment.
_BASE = "base"


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
        """Return the config for the argument."""
        if not hasattr(self.module, "get_config"):
            raise ConfigError(f"{self.name} has no get_config(); configs/demo.py is an example")
        return self.module.get_config(*filter(None, [self.argument]))

    def sweep(self) -> list[dict[str, Any]]:
        """Return the overrides of each run of the sweep, as [{"seed": 0}, {"seed": 1}].

        Raises:
            ConfigError: the file has no sweep, or an empty one.
        """
        if not hasattr(self.module, "sweep"):
            raise ConfigError(
                f'{self.name} has no sweep(); define one that yields overrides such as {{"seed": 1}}'
                " (configs/demo.py is an example)"
            )
        runs = list(self.module.sweep())
        if not runs:
            raise ConfigError(f"sweep() of {self.name} yields no runs")
        return runs


def names() -> list[str]:
    """Return the names of the configs that come with the package."""
    return sorted(module.name for module in pkgutil.iter_modules(configs.__path__) if module.name != _BASE)


def open_config(reference: str) -> ConfigFile:
    """Import a config file.

    Args:
        reference: a path, or a name of `names`, either with an argument for its get_config after a colon: `demo`,
            `configs/sbi_convnext_tiny.py:base`.

    Raises:
        ConfigError: there is no such file or name. Whatever the file itself raises is raised on.
    """
    name, _, argument = reference.partition(":")
    if name.endswith(".py") or os.sep in name:
        return ConfigFile(name, argument, _import_file(Path(name)))
    if name not in names():
        raise ConfigError(
            f"no config named {name!r} comes with the package; it has {', '.join(names())}. A file of your own is given"
            f" by its path, as {name or 'mine'}.py"
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
