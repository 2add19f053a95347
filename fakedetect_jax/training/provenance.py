"""What determines the numbers of a run besides its train state; kept with every checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import jax

import fakedetect_jax
from fakedetect_jax.config.compare import differences
from fakedetect_jax.config.ranges import FREE_ON_RESUME
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.videos import Videos
from fakedetect_jax.training.checkpoint import CheckpointMismatch


def describe_run(
    config: dict[str, Any], spec: ClipSpec, *, train: Videos, validation: Videos
) -> dict[str, Any]:
    """Return the config, what a clip is, which records and people the run learns from, and the versions, as JSON."""
    return {
        "config": config,
        "clip": dataclasses.asdict(spec),
        "data": {"train": _fingerprint(train), "validation": _fingerprint(validation)},
        "people": sorted(train.people | validation.people),
        "versions": _versions(),
    }


def describe_import(config: dict[str, Any], spec: ClipSpec) -> dict[str, Any]:
    """Return what `describe_run` does for weights that were not trained here: their data and people are unknown."""
    return {
        "config": config,
        "clip": dataclasses.asdict(spec),
        "data": {},
        "people": [],
        "versions": _versions(),
    }


def check_same_config(saved: dict[str, Any], config: dict[str, Any], *, where: str) -> None:
    """Check that a config is that of the run which wrote `saved`, except for fields that change no number.

    Raises:
        CheckpointMismatch: a field differs; names every one.
    """
    _refuse(_changes(saved, config), where)


def check_same_run(saved: dict[str, Any], current: dict[str, Any], *, where: str) -> None:
    """Check that the run `current` would continue the numbers of the one that wrote `saved`.

    Raises:
        CheckpointMismatch: a field or the records differ; names every field, and says whether the records do.
    """
    changed = _changes(saved, current["config"]) + differences(saved["clip"], current["clip"], "clip.")
    if saved["data"] != current["data"]:
        changed.append(f"the records themselves: {saved['data']} -> {current['data']}")
    _refuse(changed, where)


def _changes(saved: dict[str, Any], config: dict[str, Any]) -> list[str]:
    if "clip" not in saved:
        return ["the version of fakedetect_jax, which knew clips in another way"]
    return differences(_fixed(saved["config"]), _fixed(config))


def _fixed(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the fields that must be the same when a run resumes."""
    return {
        name: _fixed(value, f"{prefix}{name}.") if isinstance(value, dict) else value
        for name, value in fields.items()
        if f"{prefix}{name}" not in FREE_ON_RESUME
    }


def _refuse(changed: list[str], where: str) -> None:
    if changed:
        raise CheckpointMismatch(
            f"{where}, belongs to another run:\n  "
            + "\n  ".join(changed)
            + "\nuse the config that began it, or a new --workdir"
        )


def _versions() -> dict[str, str]:
    return {"fakedetect_jax": fakedetect_jax.__version__, "jax": jax.__version__}


def _fingerprint(videos: Videos) -> dict[str, Any]:
    """Return what tells whether two selections hold the same records in the same order, without reading frames."""
    digest = hashlib.sha256()
    for video in videos.videos:
        for track, times in zip(video.tracks, video.times, strict=True):
            digest.update(str(sorted(dataclasses.asdict(track).items())).encode())
            digest.update(times.tobytes())
    return {"videos": len(videos), "sha256": digest.hexdigest()}
