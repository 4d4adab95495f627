"""Fit a workload spec to a trace, generate from it, and set the two side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.io.files import complete_file, sha256_of
from pipeline.io.numbers import format_number
from pipeline.io.scratch import ScratchDirectory
from pipeline.io.tables import align_columns
from pipeline.workload.fit.comparison import figures
from pipeline.workload.fit.observed import MOST_OPERATIONS, observe
from pipeline.workload.fit.parameters import fit_parameters
from pipeline.workload.fit.write_spec import spec_text
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import SUFFIX

# Shares of all operations that differ by more than this are worth a word.
_NEAR_REUSE = 0.05
# Statistics that differ by more than this share of themselves.
_FAR = 0.2
_REUSE = "on pages mapped within 16 operations"


@dataclass(frozen=True)
class Likeness:
    """One statistic of the trace and of the one made from its spec; `difference` is None if from 0."""

    statistic: str
    trace: float
    synthetic: float

    @property
    def difference(self) -> float | None:
        """Synthetic over trace, less 1."""
        return self.synthetic / self.trace - 1.0 if self.trace else None


@dataclass(frozen=True)
class FitResult:
    """The spec that was written, how like its trace is to the one given, and what a spec cannot express."""

    output: Path
    operations: int
    likeness: tuple[Likeness, ...]
    not_expressed: tuple[str, ...]

    def table(self) -> str:
        """The likeness as aligned text, a line for each statistic."""
        rows = [("statistic", "trace", "synthetic", "difference")]
        for row in self.likeness:
            difference = row.difference
            rows.append(
                (row.statistic, format_number(row.trace), format_number(row.synthetic),
                 "-" if difference is None else f"{difference:+.1%}")
            )  # fmt: skip
        return align_columns(rows)


def fit(trace: Path, output: Path, *, seed: int = 0) -> FitResult:
    """Write to `output` (.toml) a workload spec whose traces are like the one at `trace`.

    Reads the first 4,194,304 operations, fits each part of the spec by itself - times by a named distribution
    or by quantiles, pages by the maximum likelihood of a Zipf law, kinds, nesting, runs and bursts by their
    frequencies -, then generates as many operations with `seed` and compares. The comparison stands in the
    file as a comment. About 4 us and 300 bytes of memory per operation.

    Raises UsageError for an output without .toml, InputError for a trace that cannot be read, OutputError
    when the spec cannot be written.
    """
    trace, output = Path(trace), Path(output)
    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: wanted a name that ends in {SUFFIX}, by which a workload is known")
    observed = observe(trace)
    metadata = observed.trace.metadata
    fitted = fit_parameters(
        observed, f"fitted to the {metadata.source.type} trace '{metadata.source.name}'"[:200]
    )
    if observed.trace.rows > MOST_OPERATIONS:
        fitted.not_expressed.append(
            f"only the first {MOST_OPERATIONS:,} of {observed.trace.rows:,} operations were looked at"
        )
    head = [
        f"Made by `pipeline fit` of {trace.name} (sha256 {sha256_of(trace)[:12]}): "
        f"{len(observed):,} operations.",
        "Each value is fitted to the trace's own figures; what the trace only assumed or derived is so here "
        "too. How well it came out stands at the end.",
    ]
    with ScratchDirectory() as scratch:
        draft = Path(scratch) / f"draft{SUFFIX}"
        draft.write_text(spec_text(fitted, head, ()))
        made = Path(scratch) / "made.parquet"
        generate(draft, made, operations=len(observed), seed=seed)
        synthetic = figures(observe(made))
    measured = figures(observed)
    likeness = tuple(
        Likeness(name, measured.get(name, 0.0), synthetic.get(name, 0.0))
        for name in {**measured, **synthetic}
    )
    not_expressed = [*fitted.not_expressed, *_list_differences(measured, synthetic)]
    result = FitResult(output, len(observed), likeness, tuple(not_expressed))
    foot = [f"Of the trace and of one generated from this spec with seed {seed}:", ""]
    foot += [f"  {line}" for line in result.table().splitlines()]
    if not_expressed:
        foot += ["", "What a spec cannot express, or expresses otherwise:", ""]
        foot += [f"- {line}" for line in not_expressed]
    with complete_file(output) as temporary:
        temporary.write_text(spec_text(fitted, head, foot))
    return result


def _list_differences(measured: dict[str, float], synthetic: dict[str, float]) -> list[str]:
    found = []
    far = [
        name
        for name, value in measured.items()
        if abs(synthetic.get(name, 0.0) - value) > _FAR * value and value > 0.0
    ]
    if far:
        found.append(f"more than {_FAR:.0%} apart: {'; '.join(far)}")
    apart = measured[_REUSE] - synthetic[_REUSE]
    if abs(apart) > _NEAR_REUSE:
        found.append(
            f"pages come again {'sooner' if apart > 0 else 'later'} than by chance: a spec draws the page of "
            "every operation for itself, whatever was mapped before"
        )
    return found
