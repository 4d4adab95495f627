"""Write the report that compares runs: a self-contained HTML page, Markdown, JSON or pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import OutputError, UsageError, unknown_name
from pipeline.io.files import check_no_directory, complete_file
from pipeline.io.outputs import choose_form
from pipeline.io.progress import progress
from pipeline.report.compose import compose
from pipeline.report.definition import Definition
from pipeline.report.document import Document
from pipeline.report.pictures import write_picture, write_pictures
from pipeline.report.read_definition import load_definition
from pipeline.report.render import render_html, render_json, render_markdown
from pipeline.report.sweep.document import compose_sweep
from pipeline.runs.store import is_sweep
from pipeline.sql.session import open_session

TEXTS = {"html": render_html, "json": render_json, "md": render_markdown}
PICTURES = ("png", "svg")
FORMATS = (*TEXTS, *PICTURES)


def report(
    runs: Sequence[Path],
    output: Path,
    definition: str | Path | None = None,
    command: str | None = None,
    form: str | None = None,
    item: str | None = None,
    title: str | None = None,
) -> Path:
    """Write the report that compares `runs` to `output` and return its path.

    `runs` are run directories, directories of runs, and files with measured locks, or the directory of one
    sweep. `definition` is the name of a shipped report or the path of a .toml file (default: the default
    report). `command` is printed at the end of the report as the command that made it. `title` replaces the
    title of the definition. `form` is one of FORMATS (default: according to the suffix, or HTML). Pictures
    are written into a directory, one file per chart. With `item`, the name of an item, the report contains
    only this item, and its pictures go into one file. The output needs no network and no other file.

    Raises UsageError, InputError or OutputError.
    """
    chosen_form = _choose_form(output, form)
    several = chosen_form in PICTURES and item is None
    _check_place(output, several)
    if sweeps := [path for path in runs if is_sweep(path)]:
        if len(runs) > 1 or definition is not None:
            raise UsageError(
                f"{sweeps[0]}: a report of a sweep takes exactly one sweep and no definition; remove the "
                "other arguments"
            )
        whole = compose_sweep(sweeps[0], command, title)
        _write(whole if item is None else _select_block(whole, item), chosen_form, output, several)
        return output
    chosen, queries = load_definition(definition)
    chosen = chosen if item is None else select_item(chosen, item)
    amount = len(chosen.items) * (2 if several else 1)
    with (
        open_session(runs, locks=True) as session,
        progress("reporting", amount, "charts and tables") as advance,
    ):
        if not session.runs:
            raise UsageError("expected at least one run directory, found none; give it as an argument")
        document = compose(session, chosen, queries, command, title, advance)
        _write(document, chosen_form, output, several, advance)
    return output


def _write(
    document: Document,
    form: str,
    output: Path,
    several: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    if several:
        write_pictures(document, form, output, advance)
    elif form in PICTURES:
        write_picture(document, form, output)
    else:
        text = TEXTS[form](document)
        with complete_file(output) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _select_block(document: Document, name: str) -> Document:
    """Keep only the item of this name of a document; raise UsageError for an unknown name."""
    parts = [replace(part, blocks=[b for b in part.blocks if b.item.name == name]) for part in document.parts]
    kept = [part for part in parts if part.blocks]
    if not kept:
        raise unknown_name("item", name, [block.item.name for block in document.blocks])
    return replace(document, parts=kept)


def default_output(form: str | None, item: str | None) -> Path:
    """Default path of a report."""
    return Path("report" if form in PICTURES and item is None else f"report.{form or 'html'}")


def select_item(definition: Definition, name: str) -> Definition:
    """Keep only the item of this name of a definition; raise UsageError for an unknown name."""
    sections = [
        section.model_copy(update={"item": [item for item in section.item if item.name == name]})
        for section in definition.section
    ]
    kept = [section for section in sections if section.item]
    if not kept:
        raise unknown_name("item", name, [item.name for item in definition.items])
    return definition.model_copy(update={"section": kept})


def _choose_form(output: Path, form: str | None) -> str:
    if form is not None and form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    return choose_form(output, form, FORMATS)


def _check_place(output: Path, several: bool) -> None:
    """Check the output path before the work begins."""
    if several and (output.suffix.lower().removeprefix(".") in PICTURES or output.is_file()):
        raise UsageError(
            f"{output}: expected a directory for the charts, found a file name; give a directory with "
            "--format, or choose one item with --item"
        )
    if several and output.is_dir() and any(output.iterdir()):
        raise OutputError(
            f"{output}: expected a new or empty directory, found files in it; choose another name"
        )
    if not several:
        check_no_directory(output)
