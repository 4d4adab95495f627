"""The report: one self-contained HTML page that compares runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.analysis.session import open_session
from pipeline.errors import OutputError, UsageError
from pipeline.files import complete_file
from pipeline.progress import progress
from pipeline.report.definition import load_definition
from pipeline.report.document import compose
from pipeline.report.html import html_page


def report(
    runs: Sequence[Path],
    output: Path,
    definition: str | Path | None = None,
    command: str | None = None,
) -> Path:
    """Write the page that compares `runs` to `output` and return its path.

    `runs` are run directories or directories of runs; `definition` is a shipped report's name or a .toml file
    (default: the shipped one); `command` is printed at the foot as what made the page. The page needs no
    network and no other file. Raises UsageError, InputError or OutputError for what the user can mend.
    """
    if output.is_dir():
        # Said before a second's work, not after it.
        raise OutputError(f"{output}: wanted a file to write, found a directory; give a file name inside it")
    chosen, queries = load_definition(definition)
    items = sum(len(section.item) for section in chosen.section)
    with open_session(runs) as session, progress("reporting", items, "charts and tables") as advance:
        if not session.runs:
            raise UsageError("wanted at least one run directory, found none; give it as an argument")
        html = html_page(compose(session, chosen, queries, command, advance))
    with complete_file(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return output
