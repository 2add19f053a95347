"""Weights by their name on the Hugging Face hub, where huggingface_hub and a network are."""

from __future__ import annotations

from pathlib import Path

from fakedetect_jax.weights.errors import WeightsError

SCHEME = "hf:"
# What a repository's weights are usually called; the first that it has is taken.
USUAL = ("model.safetensors", "pytorch_model.bin")


def resolve(place: str) -> Path:
    """The local file for a path, or for 'hf:owner/name' or 'hf:owner/name:file', which is downloaded once and kept.

    WeightsError if that cannot be, or if there is no file at the path.
    """
    if not place.startswith(SCHEME):
        path = Path(place).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"{place}: no such file. Remedy: check the path; a published file has the name hf:owner/name"
            )
        return path
    repository, _, name = place.removeprefix(SCHEME).partition(":")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise WeightsError(f"{place!r} is not hf:owner/name or hf:owner/name:file")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError
    except ImportError as error:
        raise WeightsError(
            f"{place} needs the package huggingface_hub. Remedy: pip install huggingface_hub, or download the file "
            "yourself and give its path"
        ) from error
    candidates = (name,) if name else USUAL
    for candidate in candidates:
        try:
            return Path(hf_hub_download(repository, candidate))
        except EntryNotFoundError as error:
            # Offline, the hub's own kind of a missing file is one of these too.
            if isinstance(error, FileNotFoundError):
                raise _unreachable(place, candidate, error) from error
        # Of the many ways in which a network fails, each has its own exception.
        except Exception as error:
            raise _unreachable(place, candidate, error) from error
    raise WeightsError(
        f"{place}: the repository has no {' or '.join(candidates)}. Remedy: name its file, hf:{repository}:FILE"
    )


def _unreachable(place: str, name: str, error: Exception) -> WeightsError:
    reason = (str(error).strip().splitlines() or [""])[0]
    return WeightsError(
        f"{place}: {name} could not be downloaded ({type(error).__name__}: {reason}). Remedy: download it where there "
        "is a network and the repository can be seen, and give the file's path"
    )
