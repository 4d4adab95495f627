"""Templates of the documents of studies, in Markdown in `reports/studies/`."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from pipeline.io.resources import shipped_folder
from pipeline.studies.definition import STUDIES

_PLAIN = "# Studies\n\n{{ overview }}\n\n{{ sections }}\n"


def render_template(name: str, **variables: Any) -> str:
    """Fill the template of a document; the default template has an overview and the sections."""
    text = _find(f"{name}.md.j2").render(**variables)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def _find(name: str) -> Template:
    folder = shipped_folder(STUDIES)
    environment = Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name) if (folder / name).exists() else environment.from_string(_PLAIN)
