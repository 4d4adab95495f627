"""A document of several studies: the answers in short, then each in a section with its charts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.io.files import complete_file
from pipeline.io.tables import markdown_table
from pipeline.machine.profile import load_profile, shipped_profiles
from pipeline.studies.answer import Answer
from pipeline.studies.pages import PICTURES, overview, render_section
from pipeline.studies.templates import render_template


def write_document(path: Path, answers: Sequence[Answer], collection: str = "") -> Path:
    """Write a Markdown document, with its pictures in a folder beside it; returns the path.

    A `collection` has a template of its own, `reports/studies/NAME.md.j2`. Raises OutputError if anything
    cannot be written.
    """
    text = render_document(answers, collection, path.parent / PICTURES)
    with complete_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def render_document(answers: Sequence[Answer], collection: str = "", pictures: Path | None = None) -> str:
    """Text of the document; pictures are drawn into their folder, if there is one."""
    return render_template(
        collection,
        overview=overview(answers),
        sections="\n\n".join(render_section(answer, pictures) for answer in answers),
        profiles=tabulate_assumptions(),
    )


def tabulate_assumptions() -> str:
    """The shipped profiles: how many of their costs have a source, and how many are assumed."""
    profiles = {name: load_profile(name) for name in shipped_profiles()}
    rows = [
        (name, str(len(profile.costs) - len(profile.assumed)), str(len(profile.assumed)))
        for name, profile in profiles.items()
    ]
    return markdown_table(("profile", "costs with a source", "assumed"), rows).rstrip()
