"""Runs of which theory says what must come out, held against it.

`checks` makes the runs and compares; `part` writes down what came of it as a section of Markdown. Every run
goes through the engine that `replay` runs, compiled, with rows and prices given in memory.
"""

from __future__ import annotations

from pipeline.studies.theory.check import Check
from pipeline.studies.theory.section import checks, part

__all__ = ["Check", "checks", "part"]
