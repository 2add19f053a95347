"""videos.csv of a folder of videos, and the test labels of DFDC."""

from __future__ import annotations

import random
from pathlib import Path

from fakedetect_jax.data_builders.dfdc import layout as dfdc
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.video_folder import layout as video_folder
from tests.fuzz.byte_mutations import damage
from tests.fuzz.listed import check_listing
from tests.fuzz.target import Case, Target, Wrong

_SEEDS = (
    "path,label\na.mp4,0\nb.mp4,1\n",
    "path,label,method,identity,split\nreal/a.mp4,real,,anna,train\nfake/b.mp4,fake,swap,bert,validation\n"
    '"fake/c, d.mp4",1,"re""enact",,test\n',
    "\ufeffpath,label,identity\r\nvideos/é.mp4,1,Jürgen\r\nvideos/frames,0,\r\n",
    "split,path,label\ntrain,a.mp4,0\n\ntest,b.mp4,1\n",
)
_LABELS = "filename,label\naalscayrfi.mp4,0\nalajbmjzfn.mp4,1\nbcjxzqtmtn.mp4,1\n"
_ODD = (
    *(
        "",
        " ",
        '"',
        '""',
        '"a',
        "'",
        ",",
        ";",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\0",
        "\x1a",
        "\x1b[2J",
        "\u2028",
        "\ufeff",
    ),
    *(
        "\\",
        "..",
        "../x.mp4",
        "/etc/passwd",
        "~/a.mp4",
        "C:\\a.mp4",
        "a//b.mp4",
        "./a.mp4",
        "a" * 300,
        "a/" * 3000,
    ),
    *(
        "0",
        "1",
        "2",
        "-1",
        "nan",
        "REAL",
        "Fake",
        "real",
        "fake",
        "é",
        "\U0001f600",
        "path",
        "label",
        "videos.csv",
    ),
    "x" * 140_000,
)


class Tables(Target):
    """A table lists videos below its folder, or the message names the line."""

    errors = (SourceError,)

    def prepare(self) -> None:
        """Write nothing: the sound tables are above."""

    def case(self, rng: random.Random, folder: Path) -> Case:
        labels = rng.random() < 0.2
        text = _LABELS if labels else rng.choice(_SEEDS)
        if rng.random() < 0.3:
            data = damage(rng, text.encode(), [seed.encode() for seed in _SEEDS])
        else:
            for _ in range(rng.randint(1, 3)):
                text = _damaged_text(rng, text)
            data = text.encode(rng.choice(("utf-8",) * 12 + ("utf-16", "utf-8-sig", "cp1252")), "replace")
        path = folder / ("labels.csv" if labels else "videos.csv")
        path.write_bytes(data)

        def use() -> None:
            if labels:
                methods = dfdc.read_test_labels(path)
                if set(methods.values()) - {"real", "fake"}:
                    raise Wrong(f"methods {methods}")
            else:
                check_listing(video_folder.list_videos(folder), folder)

        return Case(use, (path.name,))


def _damaged_text(rng: random.Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    match rng.randrange(6):
        case 0:
            return text[:place] + rng.choice(_ODD) + text[place:]
        case 1:
            return text[:place] + text[place + rng.randint(1, 8) :]
        case 2:
            old = rng.choice((",", "\n", '"', ".mp4", "0", "1", "/"))
            return text.replace(old, rng.choice(_ODD), rng.choice((1, -1)))
        case 3:
            lines = text.splitlines(keepends=True)
            rng.shuffle(lines)
            return "".join(lines)
        case 4:
            return text + rng.choice(text.splitlines()) + "\n"
        case _:
            cells = text.split(",")
            cells[rng.randrange(len(cells))] = rng.choice(_ODD)
            return ",".join(cells)
