"""The basis of the figures: the fit of the machine, and the independent checks of designs and machines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pipeline.allocators.registry import shipped_allocators
from pipeline.io.numbers import join_words
from pipeline.io.toml import read_toml
from pipeline.runs.store import Run
from pipeline.schema.manifest import Manifest


class Yardstick(BaseModel):
    """An independent reference that designs or machines were checked against.

    An empty list `designs` or `machines` stands for all that are shipped.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    designs: list[str] = []
    machines: list[str] = []
    command: str


@cache
def yardsticks() -> tuple[Yardstick, ...]:
    """The yardsticks of yardsticks.toml."""
    path = Path(__file__).with_name("yardsticks.toml")
    found = read_toml(path, "yardsticks")
    return tuple(Yardstick.model_validate(entry) for entry in found["yardstick"])


def is_extrapolated(manifest: Manifest) -> bool:
    """Whether the run has more CPUs than the measurements to which its machine was fitted."""
    fit = manifest.machine.fit
    return fit is not None and manifest.machine.cpus > fit.cpus


def describe_extrapolation(manifest: Manifest) -> str:
    """State what is extrapolated, in one sentence; "" if nothing is."""
    fit = manifest.machine.fit
    if fit is None or not is_extrapolated(manifest):
        return ""
    return (
        f"Extrapolated: the costs of waiting CPUs were fitted with {fit.cpus} CPUs, and "
        f"{manifest.machine.cpus} are simulated."
    )


def is_fitted(manifest: Manifest) -> bool:
    """Whether the run has the workload, CPUs and designs to which its machine was fitted."""
    fit = manifest.machine.fit
    source = manifest.trace.metadata.get("source") or {}
    return (
        fit is not None
        and source.get("name") == fit.workload
        and manifest.machine.cpus == fit.cpus
        and set(manifest.allocator.name.split("+")) <= set(fit.allocators)
    )


def describe_fits(runs: Sequence[Run]) -> str:
    """State which runs of one machine are fitted and which are predicted, in a few sentences."""
    manifest = runs[0].manifest
    machine, fit = manifest.machine, manifest.machine.fit
    if fit is None:
        assumed = sum(cost.assumed for cost in machine.costs.values())
        return (
            f"Predicted: no cost of {machine.name} is fitted to measurements of mapping. {assumed} of its "
            f"{len(machine.costs)} costs are assumed."
        )
    names: dict[bool, list[str]] = {True: [], False: []}
    for run in runs:
        names[is_fitted(run.manifest)].append(run.manifest.allocator.name)
    fitted, predicted = (join_words(dict.fromkeys(some)) if some else "" for some in names.values())
    what = (
        f"Fitted: {fitted}. Predicted: {predicted}."
        if fitted and predicted
        else "Fitted: all runs."
        if fitted
        else "Predicted: all runs."
    )
    to = f"{fit.to} ({fit.workload} through {' or '.join(fit.allocators)})"
    return f"{what} {machine.name} was fitted to {to}. {describe_extrapolation(manifest)}".rstrip()


def describe_yardsticks(runs: Sequence[Run]) -> str:
    """State which checks the designs of runs on one machine have passed, in a sentence or two."""
    designs = list(dict.fromkeys(part for run in runs for part in run.manifest.allocator.name.split("+")))
    machine = runs[0].manifest.machine.name
    passed = []
    for yardstick in yardsticks():
        if yardstick.machines and machine not in yardstick.machines:
            continue
        who = [design for design in designs if design in (yardstick.designs or shipped_allocators())]
        if who:
            passed.append(f"{yardstick.name} ({'all designs' if who == designs else join_words(who)})")
    if not passed:
        return "Independent checks passed: none."
    return (
        f"Independent checks passed: {'; '.join(passed)}. docs/validation.md describes what each check shows "
        "and what it does not."
    )
