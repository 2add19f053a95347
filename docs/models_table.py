"""Write the table of docs/models.md from the models themselves: `python docs/models_table.py`. It takes minutes."""

from pathlib import Path

from fakedetect_jax.models import list_models, table

PAGE = Path(__file__).with_name("models.md")
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def lines() -> list[str]:
    """Return the table in Markdown."""
    out = ["| name | parameters | GFLOPs | of frames x pixels | source |", "|---|---|---|---|---|"]
    for name in list_models():
        (row,) = table([name])
        clip = f"{row.input[1]} x {row.input[2]}"
        out.append(f"| {name} | {row.parameters:,} | {row.flops / 1e9:.2f} | {clip} | {row.source} |")
    return out


def main() -> None:
    """Replace the table between the marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(before + BEGIN + "\n".join(lines()) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
