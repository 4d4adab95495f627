"""Fit a workload spec to a trace, generate a trace from the spec, and compare the two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.io.files import complete_file, sha256_of
from pipeline.io.numbers import format_number
from pipeline.io.scratch import ScratchDirectory
from pipeline.io.tables import align_columns
from pipeline.schema.trace import COLUMN_NAMES
from pipeline.workload.fit.comparison import figures
from pipeline.workload.fit.observed import MOST_OPERATIONS, observe
from pipeline.workload.fit.parameters import fit_parameters
from pipeline.workload.fit.write_spec import spec_text
from pipeline.workload.generate import generate
from pipeline.workload.read_spec import SUFFIX

# Absolute difference of the reuse statistic above which it is reported.
_NEAR_REUSE = 0.05
# Relative difference of a statistic above which it is reported.
_FAR = 0.2
_REUSE = "on pages mapped within 16 operations"


@dataclass(frozen=True)
class Likeness:
    """A statistic of the trace and of the generated trace."""

    statistic: str
    trace: float
    synthetic: float

    @property
    def difference(self) -> float | None:
        """Return synthetic / trace - 1; None if the trace's value is 0."""
        return self.synthetic / self.trace - 1.0 if self.trace else None


@dataclass(frozen=True)
class FitResult:
    """The written spec, the comparison of the two traces, and the features that a spec cannot express."""

    output: Path
    operations: int
    likeness: tuple[Likeness, ...]
    not_expressed: tuple[str, ...]

    def table(self) -> str:
        """Return the comparison as aligned text, with a line per statistic."""
        rows = [("statistic", "trace", "synthetic", "difference")]
        for row in self.likeness:
            difference = row.difference
            rows.append(
                (row.statistic, format_number(row.trace), format_number(row.synthetic),
                 "-" if difference is None else f"{difference:+.1%}")
            )  # fmt: skip
        return align_columns(rows)


def fit(trace: Path, output: Path, *, seed: int = 0) -> FitResult:
    """Fit a workload spec to the trace at `trace` and write it to `output` (.toml).

    The fit uses the first 4,194,304 operations and treats each part of the spec separately. Times are fitted
    with a named distribution or with quantiles, and pages with a Zipf law by maximum likelihood. Kinds,
    nesting, runs and bursts are fitted by their frequencies. The function then generates as many operations
    with `seed` and writes a comparison into the file as a comment. It takes about 4 us and 300 bytes of
    memory per operation.

    Raises UsageError for an output without .toml and for a trace with optional columns, InputError for a
    trace that cannot be read, and OutputError if the spec cannot be written.
    """
    trace, output = Path(trace), Path(output)
    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: the name of a workload file must end in {SUFFIX}")
    observed = observe(trace)
    if more := observed.trace.columns[len(COLUMN_NAMES) :]:
        raise UsageError(
            f"{trace}: expected a trace in which every mapping has one page and one row, found the columns "
            f"{', '.join(more)}; write a workload by hand ('pipeline workloads vmap_loop' prints one)"
        )
    metadata = observed.trace.metadata
    fitted = fit_parameters(
        observed, f"fitted to the {metadata.source.type} trace '{metadata.source.name}'"[:200]
    )
    if observed.trace.rows > MOST_OPERATIONS:
        fitted.not_expressed.append(
            f"only the first {MOST_OPERATIONS:,} of {observed.trace.rows:,} operations were used"
        )
    head = [
        f"Fitted by `pipeline fit` to {trace.name} (sha256 {sha256_of(trace)[:12]}): "
        f"{len(observed):,} operations.",
        "All values are fitted to the trace. Values that are fitted to assumed or derived columns are "
        "assumed or derived too. The end of this file compares the trace with a generated one.",
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
    foot = [f"Statistics of the trace and of a trace generated from this spec with seed {seed}:", ""]
    foot += [f"  {line}" for line in result.table().splitlines()]
    if not_expressed:
        foot += ["", "Differences that a spec cannot express:", ""]
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
        found.append(f"these statistics differ by more than {_FAR:.0%}: {'; '.join(far)}")
    apart = measured[_REUSE] - synthetic[_REUSE]
    if abs(apart) > _NEAR_REUSE:
        found.append(
            f"the trace reuses pages {'sooner' if apart > 0 else 'later'} than the spec, which draws the "
            "page of every operation independently of earlier ones"
        )
    return found
