"""A document of several studies: an overview, then a section with charts for each study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.io.files import complete_file
from pipeline.io.tables import markdown_table
from pipeline.machine.catalogue import shipped_profiles
from pipeline.machine.profile import load_profile
from pipeline.studies.answer import Answer
from pipeline.studies.pages import PICTURES, overview, render_section
from pipeline.studies.templates import render_template


def write_document(path: Path, answers: Sequence[Answer], collection: str = "") -> Path:
    """Write a Markdown document, with its pictures in a folder next to it, and return the path.

    The template of a `collection` is `reports/studies/NAME.md.j2`. Raises OutputError if anything cannot be
    written.
    """
    text = render_document(answers, collection, path.parent / PICTURES)
    with complete_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def render_document(answers: Sequence[Answer], collection: str = "", pictures: Path | None = None) -> str:
    """Render the document; pictures are drawn into the folder `pictures` if one is given."""
    return render_template(
        collection,
        overview=overview(answers),
        sections="\n\n".join(render_section(answer, pictures) for answer in answers),
        profiles=tabulate_assumptions(),
    )


def tabulate_assumptions() -> str:
    """Tabulate the shipped profiles with their numbers of sourced and assumed costs."""
    profiles = {name: load_profile(name) for name in shipped_profiles()}
    rows = [
        (name, str(len(profile.costs) - len(profile.assumed)), str(len(profile.assumed)))
        for name, profile in profiles.items()
    ]
    return markdown_table(("profile", "costs with a source", "assumed"), rows).rstrip()
