"""docs/validation.md: every check made anew and written down."""

from __future__ import annotations

from pathlib import Path

from pipeline.io.files import complete_file
from pipeline.io.progress import progress
from pipeline.studies.conformance.conformance_page import write_conformance
from pipeline.studies.lockmeter.facts import write_facts
from pipeline.studies.lockmeter.lockmeter_page import write_ablations, write_history
from pipeline.studies.theory.theory_page import write_theory

HEAD = """# Validation: is it right?

Written by `pipeline study lockmeter --document docs/validation.md`, which makes every check anew; the numbers
are those of the run that wrote it and are the same on every machine. Three independent yardsticks: a real
kernel's recordings, queueing theory, and what was measured in 2002. A miss is reported as a miss.
"""
PARTS = (write_conformance, write_theory, write_history, write_facts, write_ablations)


def write_validation(path: Path) -> Path:
    """Make every check and write the document; takes some minutes. Raises OutputError if it cannot."""
    with complete_file(Path(path)) as temporary, progress("validating", len(PARTS), "parts") as advance:
        parts = [HEAD]
        for part in PARTS:
            parts.append(part().rstrip() + "\n")
            advance(1)
        temporary.write_text("\n".join(parts), encoding="utf-8")
    return Path(path)
