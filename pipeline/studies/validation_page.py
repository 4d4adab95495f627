"""docs/validation.md: every check made anew, below a table of what each shows and does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pipeline.io.files import complete_file
from pipeline.io.progress import progress
from pipeline.io.tables import markdown_table
from pipeline.studies.catalogue import collect
from pipeline.studies.conformance.conformance_page import write_conformance
from pipeline.studies.definition import Outcome
from pipeline.studies.lockmeter.lockmeter_page import write_ablations, write_history
from pipeline.studies.lockmeter.miss_ratio import write_miss_ratio
from pipeline.studies.lockmeter.waits import write_waits
from pipeline.studies.measure import answer_studies
from pipeline.studies.pages import PICTURES, overview, render_section
from pipeline.studies.theory.theory_page import write_theory

HEAD = """# Validation: is it right?

Written by `pipeline study lockmeter --document docs/validation.md`, which makes every check anew; the numbers
are those of the run that wrote it and are the same on every machine. A miss is reported as a miss.
"""


def write_facts(pictures: Path) -> str:
    """Markdown section: the studies of the collection `facts`, with their pictures in a folder."""
    answers = answer_studies(collect("facts"))
    head = "## Other facts of 2002\n\nPredictions from the same profile and workload, none of them fitted."
    sections = (render_section(answer, pictures) for answer in answers)
    return "\n\n".join([head, overview(answers), *sections])


Part = Callable[[Path], str]
"""Writes a section of the document; its pictures go into the folder that it is given."""
PARTS: tuple[Part, ...] = (
    lambda _: write_conformance(),
    lambda _: write_theory(),
    lambda _: write_history(),
    lambda _: write_miss_ratio(),
    write_facts,
    lambda _: write_waits(),
    lambda _: write_ablations(),
)


@dataclass(frozen=True)
class Yardstick:
    """One line of the leading table."""

    name: str
    compared: str
    agreement: str
    """Pattern of the sentence or line, in the parts below, that the table quotes."""
    does_not_show: str
    words: str = "{}"
    """What the table makes of the quotation."""


YARDSTICKS = (
    Yardstick(
        "a kernel's own pool, in lock-step",
        "each event of two recordings of Linux 6.1, the lock taken in the recorded order",
        r"\| \*\*differences\*\* (\|.*)\|",
        "what anything costs, or who gets the lock when; designs other than `global_pool`",
        "differences: {}",
    ),
    Yardstick(
        "the same recordings, free-running",
        "counts, the machine priced by what the recording itself tells",
        r"Simulated / kernel, [^:]* with measured prices: ([^.]*(?:\.\d[^.]*)*)\.",
        "machines that are not emulated; counts of single seeds near exhaustion",
    ),
    Yardstick(
        "theory",
        "queues, hit rates and costs that have a formula, and conservation laws",
        r"(\d[\d,]* comparisons, [^.]*)\.",
        "that the prices are those of any machine, or that a compile is like the models",
    ),
    Yardstick(
        "rows A and D of 2002, fitted",
        "all columns of lockmeter, and what the rows imply: flushes, misses, holds without a pass",
        r"\*\*([^*]* figures of both rows meet the goal)\.\*\*",
        "a prediction: both rows were fitted, with one set of parameters, listed below",
    ),
    Yardstick(
        "other facts of 2002, predicted",
        "pool sizes, hit rates of another compile, what flushes cost, a 4-way box, dbench",
        "",
        "machines after 2002, whose prices come from publications or are assumed; workloads of another kind",
    ),
)


def lead(text: str) -> str:
    """Return the leading table: of each yardstick what was compared, how well it agrees, what is not shown.

    The agreement is quoted from `text`, the parts below.
    """
    rows = [(one.name, one.compared, _agreement(one, text), one.does_not_show) for one in YARDSTICKS]
    head = ("yardstick", "compared", "agreement", "what it does not show")
    return markdown_table(head, rows)


def _agreement(yardstick: Yardstick, text: str) -> str:
    if not yardstick.agreement:
        return _count_verdicts(text)
    found = re.search(yardstick.agreement, text)
    if found is None:
        return "see below"
    quoted = " and ".join(cell.strip(" *") for cell in found[1].split("|") if cell.strip(" *"))
    return yardstick.words.format(" ".join(quoted.split()))


def _count_verdicts(text: str) -> str:
    """Outcomes of the facts, as "2 hold, 1 does not, 1 depends"."""
    facts = re.search(r"^## Other facts of 2002$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    outcomes = re.findall(r"^\| .* \| \*\*(.*)\*\* \|$", facts[0] if facts else "", re.MULTILINE)
    counted = {outcome: outcomes.count(outcome) for outcome in get_args(Outcome)}
    return ", ".join(f"{outcome}: {count}" for outcome, count in counted.items() if count)


def write_validation(path: Path) -> Path:
    """Make every check and write the document; takes some minutes. Raises OutputError if it cannot."""
    pictures = Path(path).parent / PICTURES
    with complete_file(Path(path)) as temporary, progress("validating", len(PARTS), "parts") as advance:
        parts = []
        for part in PARTS:
            parts.append(part(pictures).rstrip() + "\n")
            advance(1)
        body = "\n".join(parts)
        temporary.write_text("\n".join((HEAD, lead(body), body)), encoding="utf-8")
    return Path(path)
