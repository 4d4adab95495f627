"""docs/validation.md: the results of every check, below a table of what each shows and does not show."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pipeline.io.files import complete_file
from pipeline.io.numbers import join_words
from pipeline.io.progress import progress
from pipeline.io.tables import markdown_table
from pipeline.studies.catalogue import collect
from pipeline.studies.conformance.area_page import write_areas
from pipeline.studies.conformance.conformance_page import write_conformance
from pipeline.studies.definition import Outcome
from pipeline.studies.lockmeter.lockmeter_page import write_ablations, write_history
from pipeline.studies.lockmeter.miss_ratio import write_miss_ratio
from pipeline.studies.lockmeter.waits import write_waits
from pipeline.studies.measure import answer_studies
from pipeline.studies.pages import PICTURES, overview, render_section
from pipeline.studies.theory.theory_page import write_theory

HEAD = """# Validation

This page compares the simulator with recordings of a kernel, with theory, and with measurements of 2002.
`pipeline study lockmeter --document docs/validation.md` repeats every check and writes the page. The numbers
are the same on every machine.
"""


def write_facts(pictures: Path) -> str:
    """Write the section of the studies in the collection `facts`, with their pictures in a folder."""
    answers = answer_studies(collect("facts"))
    head = "## Other facts of 2002\n\nPredictions of the same profile and workload, none of them fitted."
    sections = (render_section(answer, pictures) for answer in answers)
    return "\n\n".join([head, overview(answers), *sections])


Part = Callable[[Path], str]
"""Writes a section of the document, with its pictures in the given folder."""
PARTS: tuple[Part, ...] = (
    lambda _: write_conformance(),
    lambda _: write_areas(),
    lambda _: write_theory(),
    lambda _: write_history(),
    lambda _: write_miss_ratio(),
    write_facts,
    lambda _: write_waits(),
    lambda _: write_ablations(),
)


@dataclass(frozen=True)
class Yardstick:
    """A line of the leading table."""

    name: str
    compared: str
    agreement: str
    """Pattern of the text below that the table quotes."""
    does_not_show: str
    words: str = "{}"
    """Template of the quotation."""


YARDSTICKS = (
    Yardstick(
        "the pool of a real kernel, in lock-step",
        "every event of two recordings of Linux 6.1, with the lock taken in the recorded order",
        r"\| \*\*differences\*\* (\|.*)\|",
        "costs, the order of lock acquisitions, and designs other than `global_pool`",
        "differences: {}",
    ),
    Yardstick(
        "the same recordings, free-running",
        "counts, with costs measured in the recording itself",
        r"Simulated / kernel with measured costs, [^:]*: ([^.]*(?:\.\d[^.]*)*)\.",
        "machines that are not emulated, and counts of single seeds near exhaustion",
    ),
    Yardstick(
        "areas of a stock kernel's vmalloc, in lock-step",
        "every event of recordings of Linux 6.18 and 6.12, in the order in which frees were counted",
        r"vmap_nodes \|\n(?:\|.*\n)*?\| \*\*differences\*\* (\|.*)\|",
        "costs, the choice of addresses, and designs other than `vmap_lazy` and `vmap_nodes`",
        "differences: {}",
    ),
    Yardstick(
        "theory",
        "queues, hit rates and costs with a formula, and conservation laws",
        r"(\d[\d,]* comparisons, [^.]*)\.",
        "that the costs are those of a real machine, or that a compile behaves like the models",
    ),
    Yardstick(
        "rows A and D of 2002, fitted",
        "all columns of lockmeter and the figures that they imply: flushes, misses, holds without a pass",
        r"\*\*([^*]* figures of both rows meet the goal)\.\*\*",
        "predictions: both rows were fitted, with one set of parameters, which is listed below",
    ),
    Yardstick(
        "other facts of 2002, predicted",
        "pool sizes, hit rates of another compile, the cost of flushes, a 4-way machine, dbench",
        "",
        "machines after 2002, whose costs are published or assumed, and other kinds of workload",
    ),
)


def lead(text: str) -> str:
    """Return the leading table: what each check compares, how well it agrees, and what it does not show.

    The agreement is quoted from `text`, the sections below the table.
    """
    rows = [(one.name, one.compared, _agreement(one, text), one.does_not_show) for one in YARDSTICKS]
    head = ("check", "compared", "agreement", "not shown")
    return markdown_table(head, rows)


def _agreement(yardstick: Yardstick, text: str) -> str:
    if not yardstick.agreement:
        return _count_verdicts(text)
    found = re.search(yardstick.agreement, text)
    if found is None:
        return "see below"
    quoted = join_words([cell.strip(" *") for cell in found[1].split("|") if cell.strip(" *")])
    return yardstick.words.format(" ".join(quoted.split()))


def _count_verdicts(text: str) -> str:
    """Count the outcomes of the facts, as in "holds: 2, depends: 1"."""
    facts = re.search(r"^## Other facts of 2002$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    outcomes = re.findall(r"^\| .* \| \*\*(.*)\*\* \|$", facts[0] if facts else "", re.MULTILINE)
    counted = {outcome: outcomes.count(outcome) for outcome in get_args(Outcome)}
    return ", ".join(f"{outcome}: {count}" for outcome, count in counted.items() if count)


def write_validation(path: Path) -> Path:
    """Run every check, which takes minutes, and write the document. Raises OutputError."""
    pictures = Path(path).parent / PICTURES
    with complete_file(Path(path)) as temporary, progress("validating", len(PARTS), "parts") as advance:
        parts = []
        for part in PARTS:
            parts.append(part(pictures).rstrip() + "\n")
            advance(1)
        body = "\n".join(parts)
        temporary.write_text("\n".join((HEAD, lead(body), body)), encoding="utf-8")
    return Path(path)
