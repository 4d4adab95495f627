"""The report that compares runs: one self-contained HTML page, or the same as Markdown, JSON or pictures."""

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

    `runs` are run directories or directories of runs, and files of what was measured of locks; or the
    directory of one sweep; `definition` is a shipped report's name or a .toml file (default: the shipped
    one); `command` is printed at the foot as what made the report; `title` stands in place of the
    definition's, or of the question that the runs answer.
    `form` is one of FORMATS, by default that of the suffix, else HTML. Pictures go into a directory, one file
    for each chart; with `item`, the name of one item, the report is of that item alone, and its pictures are
    one file. What is written needs no network and no other file. Raises UsageError,
    InputError or OutputError for what the user can mend.
    """
    chosen_form = _choose_form(output, form)
    several = chosen_form in PICTURES and item is None
    _check_place(output, several)
    if sweeps := [path for path in runs if is_sweep(path)]:
        if len(runs) > 1 or definition is not None:
            raise UsageError(
                f"{sweeps[0]}: a report of a sweep is of this sweep alone, and has no definition; leave out "
                "what else was given"
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
            raise UsageError("wanted at least one run directory, found none; give it as an argument")
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
    """Keep of a document the item of that name alone; an unknown name raises UsageError."""
    parts = [replace(part, blocks=[b for b in part.blocks if b.item.name == name]) for part in document.parts]
    kept = [part for part in parts if part.blocks]
    if not kept:
        raise unknown_name("item", name, [block.item.name for block in document.blocks])
    return replace(document, parts=kept)


def default_output(form: str | None, item: str | None) -> Path:
    """Place of a report whose output is not named."""
    return Path("report" if form in PICTURES and item is None else f"report.{form or 'html'}")


def select_item(definition: Definition, name: str) -> Definition:
    """Keep of a definition the item of that name alone; an unknown name raises UsageError."""
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
    """Say what is wrong with the output before seconds of work, not after them."""
    if several and (output.suffix.lower().removeprefix(".") in PICTURES or output.is_file()):
        raise UsageError(
            f"{output}: wanted a directory for the charts, found the name of a file; give a directory with "
            "--format, or choose one item with --item"
        )
    if several and output.is_dir() and any(output.iterdir()):
        raise OutputError(
            f"{output}: wanted a new or empty directory, found files in it; choose another name"
        )
    if not several:
        check_no_directory(output)
