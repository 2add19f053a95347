"""The templates of the HTML pages."""

from pathlib import Path

import jinja2


def load_template(path: Path) -> jinja2.Template:
    """Return a template that escapes its values and fails on a missing one."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name)
