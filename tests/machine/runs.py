"""Driving a simulation from columns of rows, on a machine whose every price is given by the test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pipeline.allocators.api.allocator import Allocator
from pipeline.allocators.registry import load_allocator, resolve_allocator
from pipeline.machine import in_memory
from pipeline.machine.in_memory import Outcome, Rows, free_machine, rows
from pipeline.machine.profile import Profile, load_profile
from tests.mutate import mutate

__all__ = ["Outcome", "Rows", "machine", "mutate_allocator", "rows", "simulate", "whole_source"]

_SHARED_IMPORT = re.compile(
    r"^from pipeline\.allocators\.components\.(\w+) import (?:\w.*|\([^)]*\))\n", re.MULTILINE
)


def machine(directory: Path, cpus: int, **how: Any) -> Profile:
    """A machine on which everything is free but the prices named, read from a file in `directory`."""
    free = free_machine(cpus, **how)
    costs = "".join(
        f'[costs.{name}]\nvalue = {cost.value}\nsource = "test"\n' for name, cost in free.costs.items()
    )
    path = directory / "machine.toml"
    path.write_text(
        f'name = "test"\nsummary = "test"\ncpus = {cpus}\nnodes = {free.nodes}\n'
        f'arbitration = "{free.arbitration}"\narbitration_source = "test"\n{costs}'
    )
    return load_profile(str(path))


def mutate_allocator(directory: Path, name: str, changes: dict[str, str], allocator: str) -> Allocator:
    """Load a copy of a shipped design, named `name`, changed by `tests.mutate.mutate`."""
    path = directory / f"{name}.py"
    path.write_text(mutate(whole_source(allocator), changes))
    return load_allocator(str(path))


def whole_source(allocator: str) -> str:
    """Source of a shipped design in which what it imports from shared files stands in place of the import."""
    path = load_allocator(allocator).path
    there: set[str] = set()

    def part(match: re.Match[str]) -> str:
        if match[1] in there:
            return ""
        there.add(match[1])
        text = (path.parent / "components" / f"{match[1]}.py").read_text()
        return _SHARED_IMPORT.sub(part, text.replace("from __future__ import annotations\n", ""))

    return _SHARED_IMPORT.sub(part, path.read_text())


def simulate(allocator: str | Allocator, profile: Profile, trace: Rows, **how: Any) -> Outcome:
    """Replay `trace` to its end or to a deadlock. CPU time must add up in every run: that is checked here."""
    allocator = resolve_allocator(allocator) if isinstance(allocator, str) else allocator
    outcome = in_memory.simulate(allocator, profile, trace, **how)
    assert not outcome.unbooked_ns.any()
    assert (outcome.spent >= 0).all()
    return outcome
