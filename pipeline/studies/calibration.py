"""Fit the machine and the workload to the rows of 2002, by a reproducible search.

The objective is a sum over all figures of the rows and over the figures that they imply. Each figure adds the
square of its misfit, cut at 30. A misfit of 1 is the goal: 15 % for a mean, a factor of 2 for a maximum.
Maxima count half, because they are single events. Each figure that misses the goal adds 2.

The search is CMA-ES (Hansen and Ostermeier 2001; package `cma`) over the parameters, scaled to 0..1 between
their bounds. The same start, first step, seeds and number of evaluations give the same search.
"""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import UsageError
from pipeline.io.files import complete_directory
from pipeline.io.numbers import join_words
from pipeline.io.progress import progress
from pipeline.io.tables import align_columns
from pipeline.io.toml import read_toml
from pipeline.io.toml_overrides import apply_overrides
from pipeline.machine.catalogue import profile_path
from pipeline.studies.experiment import Experiment
from pipeline.studies.lockmeter.comparison import Figure, figures
from pipeline.studies.lockmeter.implied import imply
from pipeline.studies.lockmeter.lockmeter_data import MAXIMA, LockmeterRow, read_rows
from pipeline.studies.lockmeter.prediction import Prediction, predict_all
from pipeline.workload.read_spec import workload_path

PARAMETERS = Path(__file__).with_name("calibration.toml")
POPULATION = 14
_WORST_MISFIT = 30.0
_MISS = 2.0
_AT_BOUND = 0.02
_HISTORY = "evaluations.csv"


class Parameter(BaseModel):
    """A parameter that may be fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    file: Literal["machine", "workload"]
    keys: list[str] = Field(min_length=1)
    low: float
    high: float
    start: float
    scale: Literal["log", "linear"]
    digits: int = 3
    why: str

    def value(self, place: float) -> float:
        """Value at `place`, which is 0 at the lower bound and 1 at the upper, rounded to `digits` digits."""
        place = min(max(place, 0.0), 1.0)
        if self.scale == "log":
            value = math.exp(math.log(self.low) + place * math.log(self.high / self.low))
        else:
            value = self.low + place * (self.high - self.low)
        return float(f"{value:.{self.digits}g}")

    def place(self, value: float) -> float:
        """Inverse of `value`, clipped to 0..1."""
        if self.scale == "log":
            place = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(max(place, 0.0), 1.0)


class Procedure(BaseModel):
    """Contents of calibration.toml: files, rows and parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str
    workload: str
    rows: list[str]
    parameters: list[Parameter]

    def model_at(self, values: dict[str, float]) -> Experiment:
        """Return a run of the workload on the machine with these values by parameter name."""
        changes: dict[str, dict[str, Any]] = {"machine": {}, "workload": {}}
        for parameter in self.parameters:
            value = values[parameter.name]
            whole = parameter.name.endswith(("_ns", "_percent"))
            for key in parameter.keys:
                changes[parameter.file][key] = round(value) if whole else value
        return Experiment(
            self.workload, "global_pool", self.machine,
            changes=changes["workload"], machine_changes=changes["machine"],
        )  # fmt: skip

    def present(self) -> dict[str, float]:
        """Current values in the files, by parameter name."""
        tables = {
            "machine": read_toml(profile_path(self.machine), "a machine profile"),
            "workload": read_toml(workload_path(self.workload), "a workload spec"),
        }
        return {p.name: _value_at(tables[p.file], p.keys[0]) for p in self.parameters}


def read_procedure() -> Procedure:
    """Read calibration.toml."""
    return Procedure.model_validate(read_toml(PARAMETERS, "the parameters of a calibration"))


def _value_at(table: Any, key: str) -> float:
    return float(reduce(getitem, key.split("."), table))


@dataclass(frozen=True)
class Calibration:
    """Result of a calibration."""

    plan: Procedure
    seed: int
    evaluations: int
    start: dict[str, float]
    start_objective: float
    best: dict[str, float]
    best_objective: float
    missed: list[str]
    directory: Path

    def text(self) -> str:
        """The parameters before and after, the objective, and the figures that miss the goal."""
        head = ("parameter", "low", "high", "start", "fitted", "")
        rows = [
            (
                p.name, f"{p.low:g}", f"{p.high:g}", f"{self.start[p.name]:g}", f"{self.best[p.name]:g}",
                "at its bound" if min(place := p.place(self.best[p.name]), 1 - place) < _AT_BOUND else "",
            )
            for p in self.plan.parameters
        ]  # fmt: skip
        paths = profile_path(self.plan.machine), workload_path(self.plan.workload)
        machine, workload = (self.directory / path.name for path in paths)
        missed = (
            f"misses the goal: {', '.join(self.missed)}" if self.missed else "every figure meets the goal"
        )
        return (
            f"fitted {self.plan.machine} and {self.plan.workload} to rows "
            f"{join_words(self.plan.rows)}: seed {self.seed}, {self.evaluations} evaluations\n"
            + align_columns([head, *rows])
            + f"objective {self.start_objective:.1f} at the start, {self.best_objective:.1f} fitted\n"
            + f"{missed}\nto check the fit: "
            f"pipeline study lockmeter --machine {machine} --workload {workload}\n"
        )


def objective(found: list[Figure]) -> float:
    """Add up the misfits of figures, as the module describes; 0 if every ratio is 1."""
    total = 0.0
    for figure in found:
        square = min(figure.misfit**2, _WORST_MISFIT)
        total += square * (0.5 if figure.name in MAXIMA else 1.0)
        total += _MISS if figure.misfit > 1.0 else 0.0
    return total


Evaluation = tuple[float, list[str]]
"""Objective, and the figures that miss the goal."""


def evaluate(
    plan: Procedure, candidates: Sequence[dict[str, float]], seeds: int = 1, workers: int | None = None
) -> list[Evaluation]:
    """Evaluate several candidates by the mean of each figure over seeds 0..seeds-1."""
    rows = {row.name: row for row in read_rows()}
    models = [plan.model_at(values) for values in candidates]
    cases = [(rows[name], seed, model) for model in models for name in plan.rows for seed in range(seeds)]
    predictions = iter(predict_all(cases, workers))
    return [_evaluate(plan, rows, predictions, seeds) for _ in candidates]


def _evaluate(
    plan: Procedure, rows: dict[str, LockmeterRow], predictions: Iterator[Prediction], seeds: int
) -> Evaluation:
    """Evaluate one candidate from the next predictions."""
    found: list[Figure] = []
    missed: list[str] = []
    for name in plan.rows:
        of_row = figures(rows[name], [next(predictions) for _ in range(seeds)], imply(rows[name]))
        found += of_row
        missed += [f"{name} {f.site} {f.name} x {f.ratio:.2f}" for f in of_row if f.within is False]
    return objective(found), missed


def calibrate(
    output: Path,
    *,
    evaluations: int = 600,
    step: float = 0.2,
    seed: int = 1,
    seeds: int = 1,
    workers: int | None = None,
    resume: bool = False,
) -> Calibration:
    """Search for the best parameter values; write the fitted files and every evaluation to `output`.

    The search starts at the start values of calibration.toml or, with `resume`, at the values in the files.
    `step` is the standard deviation of the first step, as a fraction of the distance between a parameter's
    bounds. `seed` is the seed of the search. Each evaluation simulates with seeds 0 to `seeds` - 1 and takes
    about 4 s of CPU time per seed. Raises UsageError for numbers out of range and OutputError if `output`
    cannot be written.
    """
    for what, number, most in (("evaluations", evaluations, 100_000), ("seeds", seeds, 100)):
        if not 1 <= number <= most:
            raise UsageError(f"{what} must be 1 to {most}, found {number}")
    if not 1 <= seed < 1 << 31:
        raise UsageError(f"seed must be 1 to {(1 << 31) - 1}, found {seed}")
    if not 0.001 <= step <= 1.0:
        raise UsageError(f"step must be 0.001 to 1, found {step:g}")
    with warnings.catch_warnings():
        # cma warns that it cannot plot, which is not needed.
        warnings.simplefilter("ignore")
        import cma  # noqa: PLC0415 - takes half a second and is needed only here

    plan = read_procedure()
    start = plan.present() if resume else {p.name: p.start for p in plan.parameters}
    command = f"pipeline calibrate --evaluations {evaluations} --step {step:g} --seed {seed} --seeds {seeds}"
    command += " --resume" if resume else ""
    options = {"bounds": [0.0, 1.0], "popsize": POPULATION, "seed": seed, "verbose": -9}
    search = cma.CMAEvolutionStrategy([p.place(start[p.name]) for p in plan.parameters], step, options)
    with complete_directory(output) as directory:
        start_objective, missed = evaluate(plan, [start], seeds, workers)[0]
        best, best_objective, count = start, start_objective, 0
        with (
            (directory / _HISTORY).open("w", newline="", encoding="utf-8") as handle,
            progress("calibrating", evaluations, "evaluations") as advance,
        ):
            history = csv.writer(handle)
            history.writerow(["evaluation", "objective", *start])
            history.writerow([0, start_objective, *start.values()])
            while count < evaluations and not search.stop():
                places = search.ask()
                candidates = [
                    {p.name: p.value(float(at)) for p, at in zip(plan.parameters, place, strict=True)}
                    for place in places
                ]
                objectives = []
                evaluated = evaluate(plan, candidates, seeds, workers)
                for values, (found, missed_here) in zip(candidates, evaluated, strict=True):
                    objectives.append(found)
                    count += 1
                    advance(1)
                    history.writerow([count, found, *values.values()])
                    if found < best_objective:
                        best, best_objective, missed = values, found, missed_here
                handle.flush()
                search.tell(places, objectives)
        _write_fitted(plan, best, command, directory)
    return Calibration(plan, seed, count, start, start_objective, best, best_objective, missed, Path(output))


def _write_fitted(plan: Procedure, values: dict[str, float], command: str, directory: Path) -> None:
    """Write both files with the fitted values; the source of each fitted cost names the command."""
    model = plan.model_at(values)
    changes, rows = dict(model.machine_changes), join_words(plan.rows)
    for parameter in plan.parameters:
        if parameter.file == "machine":
            _, cost, _ = parameter.keys[0].split(".")
            changes[f"costs.{cost}.source"] = (
                f"fitted to rows {rows} of lockmeter_2002.csv by `{command}`; {parameter.why}"
            )
    apply_overrides(profile_path(plan.machine), changes, directory)
    apply_overrides(workload_path(plan.workload), model.changes, directory)
