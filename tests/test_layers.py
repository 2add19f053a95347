"""Imports point down, and the package starts without what a command does not need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground up. A part knows itself and what lies below it; those of one line do not know each other.
LAYERS = [
    ["errors"],
    ["files", "parallel", "ranges", "evaluation.metrics"],
    ["digests"],
    ["faces"],
    ["augment", "models"],
    ["data", "weights"],
    ["config"],
    ["training"],
    ["deployment"],
    ["evaluation", "inspection", "data_builders"],
    ["experiment"],
    ["configs"],
    ["cli"],
]


def modules():
    for folder in ("fakedetect_jax", "configs", "data_builders"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield path, ".".join(parts if folder == "fakedetect_jax" else ("fakedetect_jax", *parts))


def part_of(module):
    """The longest name in LAYERS that the module lies in, and its layer."""
    name = module.removeprefix("fakedetect_jax.")
    found = [
        (part, number)
        for number, layer in enumerate(LAYERS)
        for part in layer
        if name == part or name.startswith(f"{part}.")
    ]
    return max(found, key=lambda pair: len(pair[0]), default=None)


def imported(path):
    """Every module of the package that a file names in an import, wherever in the file that is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("fakedetect_jax."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fakedetect_jax"):
            assert node.level == 0, path
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


PLACED = [(path, module) for path, module in modules() if module != "fakedetect_jax.__init__"]


@pytest.mark.parametrize(("path", "module"), PLACED, ids=[module for _, module in PLACED])
def test_imports_point_down(path, module):
    here = part_of(module)
    assert here is not None, f"{module} has no place in LAYERS"
    for name in imported(path):
        there = part_of(name)
        # The package itself says its version, and nothing else.
        if there is None:
            assert name == "fakedetect_jax.__version__", f"{module} imports {name}"
        elif there[0] != here[0]:
            assert there[1] < here[1], f"{module} imports {name}: {here[0]} lies below {there[0]}"


def loaded_after(code):
    """Modules that a fresh interpreter has loaded after running `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["fakedetect_jax", "fakedetect_jax.errors", "fakedetect_jax.cli.main"])
def test_importing_loads_no_heavy_library(module):
    loaded = loaded_after(f"import {module}")
    assert not loaded & {"jax", "flax", "cv2", "tensorflow_datasets", "matplotlib"}


def test_finding_faces_needs_no_jax():
    loaded = loaded_after("from fakedetect_jax import extract_faces")
    assert "cv2" in loaded
    assert not loaded & {"jax", "flax"}
