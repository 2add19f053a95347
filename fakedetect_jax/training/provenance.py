"""What the numbers of a run follow from, besides its train state: kept with every checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import jax

import fakedetect_jax
from fakedetect_jax.config import Config
from fakedetect_jax.config.compare import differences
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.videos import Videos
from fakedetect_jax.training.checkpoint import CheckpointMismatch

# What may change between a run and its continuation without changing its numbers.
_FREE = ("config.evaluation.", "config.data.folder", "config.data.threads", "config.data.workers")
_FREE += ("config.data.prefetch", "config.train.log_every", "config.train.checkpoint_every", "config.name")


def describe_run(config: Config, spec: ClipSpec, train: Videos, validation: Videos) -> dict[str, Any]:
    """Returns the config, what a clip is, which records and people were learned from, and the versions, as JSON."""
    return {
        "config": config.to_dict(),
        "clip": dataclasses.asdict(spec),
        "data": {"train": _fingerprint(train), "validation": _fingerprint(validation)},
        "people": sorted(train.people | validation.people),
        "versions": {"fakedetect_jax": fakedetect_jax.__version__, "jax": jax.__version__},
    }


def check_same_config(saved: dict[str, Any], config: Config, *, where: str) -> None:
    """Checks that a config is that of the run which wrote `saved`, but for what changes no number.

    Raises:
      CheckpointMismatch: names every field that differs.
    """
    _refuse(_changes(saved, config), where)


def check_same_run(saved: dict[str, Any], current: dict[str, Any], config: Config, *, where: str) -> None:
    """Checks that a run would go on with the numbers of the one that wrote `saved`.

    Raises:
      CheckpointMismatch: names every field that differs, and whether the records do.
    """
    changed = _changes(saved, config) + differences(saved["clip"], current["clip"], "clip.")
    if saved["data"] != current["data"]:
        changed.append(f"the records themselves: {saved['data']} -> {current['data']}")
    _refuse(changed, where)


def _changes(saved: dict[str, Any], config: Config) -> list[str]:
    if "clip" not in saved:
        return ["the version of fakedetect_jax, which knew clips in another way"]
    return [row for row in differences(saved["config"], config.to_dict()) if not row.startswith(_FREE)]


def _refuse(changed: list[str], where: str) -> None:
    if changed:
        raise CheckpointMismatch(
            f"{where}, belongs to another run:\n  "
            + "\n  ".join(changed)
            + "\nuse the config that began it, or a new --workdir"
        )


def _fingerprint(videos: Videos) -> dict[str, Any]:
    """Tells whether two selections hold the same records in the same order, without reading frames."""
    digest = hashlib.sha256()
    for video in videos.videos:
        for track, times in zip(video.tracks, video.times, strict=True):
            digest.update(str(sorted(dataclasses.asdict(track).items())).encode())
            digest.update(times.tobytes())
    return {"videos": len(videos), "sha256": digest.hexdigest()}
