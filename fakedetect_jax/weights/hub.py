"""Weights by name from the Hugging Face hub, given huggingface_hub and a network."""

from __future__ import annotations

from pathlib import Path

from fakedetect_jax.weights.errors import WeightsError

SCHEME = "hf:"
# Usual names of a repository's weights; the first one present is used.
USUAL = ("model.safetensors", "pytorch_model.bin")


def resolve(place: str) -> Path:
    """Return the local file for a path, 'hf:owner/name' or 'hf:owner/name:file'; the hub's are downloaded once.

    Raises:
        WeightsError: there is no file at the path, or a folder, or the download fails.
    """
    if not place.startswith(SCHEME):
        path = Path(place).expanduser()
        if path.is_dir():
            raise WeightsError(f"{place}: is a folder. Remedy: give the file of weights in it")
        if not path.is_file():
            raise WeightsError(
                f"{place}: no such file. Remedy: check the path; a published file is named hf:owner/name"
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
            # When offline, the hub's error for a missing local file is an EntryNotFoundError too.
            if isinstance(error, FileNotFoundError):
                raise _unreachable(place, candidate, error) from error
        # A network fails in many ways, each with its own exception.
        except Exception as error:
            raise _unreachable(place, candidate, error) from error
    raise WeightsError(
        f"{place}: the repository has no {' or '.join(candidates)}. Remedy: name its file, hf:{repository}:FILE"
    )


def _unreachable(place: str, name: str, error: Exception) -> WeightsError:
    reason = (str(error).strip().splitlines() or [""])[0]
    return WeightsError(
        f"{place}: {name} could not be downloaded ({type(error).__name__}: {reason}). Remedy: download it with "
        "network access to the repository, and give the file's path"
    )
