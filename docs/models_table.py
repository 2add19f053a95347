"""Writes the table of docs/models.md from the models themselves: `python docs/models_table.py`. Minutes."""

from pathlib import Path

from fakedetect_jax.models import table
from fakedetect_jax.models.catalogue import CATALOGUE

PAGE = Path(__file__).with_name("models.md")
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def lines() -> list[str]:
    """The table in Markdown."""
    out = ["| name | parameters | GFLOPs | of frames x pixels | source |", "|---|---|---|---|---|"]
    for name in CATALOGUE:
        (row,) = table([name])
        clip = f"{row.input[1]} x {row.input[2]}"
        out.append(f"| {name} | {row.parameters:,} | {row.flops / 1e9:.2f} | {clip} | {row.source} |")
    return out


def main() -> None:
    """Replace what stands between the marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(before + BEGIN + "\n".join(lines()) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
