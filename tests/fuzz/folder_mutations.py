"""Damage to a folder of files: what copies that break off, full disks and careless hands do."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.fuzz.byte_mutations import cut, damage
from tests.fuzz.json_mutations import damage_json


def damage_folder(rng: random.Random, folder: Path, *, keep: tuple[str, ...] = ()) -> None:
    """Damage one or two files somewhere below `folder`; those named in `keep` stay as they are."""
    for _ in range(rng.choice((1, 1, 1, 2))):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in keep)
        _damage_file(rng, rng.choice(files), files)


def _damage_file(rng: random.Random, path: Path, files: list[Path]) -> None:
    data = path.read_bytes()
    match rng.randrange(10):
        case 0:
            path.unlink()
        case 1:
            path.write_bytes(
                rng.choice((b"", bytes(len(data)), data[:-1], data + b"\0", b"{}", b"[]", b"null"))
            )
        case 2:
            path.write_bytes(rng.choice(files).read_bytes())
        case 3:
            path.unlink()
            path.mkdir()
        case 4:
            other = rng.choice(files)
            content = other.read_bytes()
            other.write_bytes(data)
            path.write_bytes(content)
        case 5:
            shutil.copy(path, path.with_name(f"{path.name}.bak"))
            path.write_bytes(cut(rng, data))
        case 6 | 7 if data[:1] in (b"{", b"["):
            path.write_bytes(damage_json(rng, data.decode()) if _is_text(data) else damage(rng, data))
        case _:
            path.write_bytes(damage(rng, data))


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
