"""A study as a file: what is claimed, the runs that are made, the SQL that measures, and the words for it.

    claim = "More slots mean fewer flushes"
    source = "linux-kernel, March 2002"

    [grid]                      # as of `pipeline sweep`; of several, [grids.NAME], what they share
    trace = "kernel_build"
    allocator = "global_pool"
    machine = "numaq16"
    replications = 6
    options.slots = [128, 1024]

    [sql]                       # each entry is a view for those below it
    pairs = "SELECT ..."
    condition = "SELECT ... AS setting, replication, ... AS holds FROM pairs"
    numbers = "SELECT avg(...) AS flushes FROM pairs"

    [words]
    text = "A pool of 1,024 slots flushes {flushes:,.0f} times."

The views start from `results`, a row for each run with the column `grid`, and `points`, the same with figures
that follow from it (`points.sql`); the macro `half_width(x)` is half of the 95 % interval of a mean.
`condition` gives a row for each setting and replication with whether what is claimed `holds` there, NULL
where it is not asked; `numbers` gives one row, whose columns stand in the words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipeline.errors import InputError, UsageError, did_you_mean
from pipeline.io.resources import shipped_files
from pipeline.io.toml import parse_toml, read_toml_bytes
from pipeline.machine.profile import load_profile
from pipeline.sweeps.grid import Grid, make_grid, merge

Outcome = Literal["holds", "does not hold", "depends", "cannot tell"]
Wrong = Literal["nobody", "author", "expectation", "model", "implementation"]
"""What is wrong where a claim does not hold; an expectation is one that nobody put in words."""

STUDIES = "reports/studies"
"""Folder of the shipped studies."""
CONDITION, NUMBERS = "condition", "numbers"
GIVEN = ("results", "points")
"""Views that the statements of a study start from."""
COUNTED = ("settings", "held", "holding", "failing", "untold", "replications")
"""What words may name beside the columns of `numbers`: how many settings there are and in how many the claim
holds; the settings in which it holds, in which not, and of which the replications do not tell; and the least
number of replications of a setting."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Table):
    """What is said: `text` with every outcome, before it what is for one outcome."""

    text: str = ""
    holds: str = ""
    does_not_hold: Annotated[str, Field(alias="does not hold")] = ""
    depends: str = ""
    cannot_tell: Annotated[str, Field(alias="cannot tell")] = ""

    def of(self, outcome: Outcome) -> str:
        """What is said of one outcome alone; "" if nothing is."""
        own: str = getattr(self, outcome.replace(" ", "_"))
        return own


class Opinion(_Table):
    """What is thought of the outcome `expected`; it does not stand if the outcome is another."""

    expected: Outcome
    words: str
    wrong: Wrong = "nobody"


class Curves(_Table):
    """A chart of a view: `y` over `x`, as the mean of replications with its interval.

    `colour` and `panel` are columns that tell lines and panels apart.
    """

    view: str
    x: str
    y: str
    title: str
    x_title: str = ""
    y_title: str = ""
    colour: str = ""
    panel: str = ""
    mark: Literal["lines", "bars"] = "lines"
    log_x: bool = False
    log_y: bool = False


class Columns(_Table):
    """A table of a view: its heads with the column's format, such as "{slots:,}"."""

    view: str
    columns: dict[str, str]


def _strings(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


_Names = Annotated[tuple[str, ...], BeforeValidator(_strings)]


class _File(_Table):
    claim: str
    source: str = ""
    collection: str = ""
    label: str = ""
    about: _Names = ()
    exact: str = ""
    assumed: str = ""
    remark: str = ""
    grid: dict[str, Any] = {}
    grids: dict[str, dict[str, Any]] = {}
    costs: dict[str, tuple[str, ...]] = {}
    sql: dict[str, str]
    words: Words = Words()
    opinion: Opinion | None = None
    chart: tuple[Curves, ...] = ()
    table: tuple[Columns, ...] = ()


@dataclass(frozen=True)
class Source:
    """The file of a study, for messages that say where in it something is."""

    path: Path
    text: str

    def at(self, *keys: str) -> str:
        """The file with the line of a key; of the table it is in, or the file alone, where it has no line."""
        for depth in range(len(keys), 0, -1):
            if line := _line_of(self.text, keys[:depth]):
                return f"{self.path}:{line}"
        return str(self.path)


@dataclass(frozen=True)
class Study:
    """A study that was read: see the module.

    `collection` names the document that it belongs to, `label` its place there, and `about` the designs that
    it judges. `exact` says why nothing in its runs is left to chance, where it has one of each. `costs` are
    the prices by machine on which the outcome rests most.
    """

    name: str
    source_file: Source
    claim: str
    source: str
    grids: dict[str, Grid]
    sql: dict[str, str]
    words: Words
    collection: str = ""
    label: str = ""
    about: Sequence[str] = ()
    exact: str = ""
    assumed: str = ""
    remark: str = ""
    costs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    opinion: Opinion | None = None
    charts: Sequence[Curves] = ()
    tables: Sequence[Columns] = ()

    @property
    def command_name(self) -> str:
        """What `pipeline study` finds it by: its name if it is shipped, else its path."""
        shipped = shipped_files(STUDIES, ".toml").get(self.name)
        return self.name if shipped == self.source_file.path else str(self.source_file.path)

    @property
    def heading(self) -> str:
        """The claim, behind its label in the collection."""
        return f"({self.label}) {self.claim}" if self.label else self.claim


def read_study(path: Path) -> Study:
    """Read a study. Raises InputError, with file and line, for what is no study."""
    content = read_toml_bytes(path, "a study (TOML)")
    table = parse_toml(content, path)
    source = Source(path, content.decode("utf-8"))
    try:
        file = _File.model_validate(table)
    except ValidationError as error:
        raise InputError(_explain(error, source)) from error
    study = Study(
        name=path.stem,
        source_file=source,
        claim=file.claim,
        source=file.source,
        grids=_grids(file, source),
        sql=file.sql,
        words=file.words,
        collection=file.collection,
        label=file.label,
        about=file.about,
        exact=file.exact,
        assumed=file.assumed,
        remark=file.remark,
        costs=file.costs,
        opinion=file.opinion,
        charts=file.chart,
        tables=file.table,
    )
    _check(study)
    return study


def _grids(file: _File, source: Source) -> dict[str, Grid]:
    if not file.grid and not file.grids:
        raise InputError(f"{source.path}: wanted a table [grid] or tables [grids.NAME], found none")
    grids = {}
    for name, factors in (file.grids or {"": {}}).items():
        problem = _problem_of(merge(file.grid, factors))
        if problem:
            shared = not name or problem == _problem_of(file.grid)
            raise InputError(f"{source.at(*(('grid',) if shared else ('grids', name)))}: {problem}")
        grids[name] = make_grid(merge(file.grid, factors))
    return grids


def _problem_of(factors: dict[str, Any]) -> str:
    try:
        make_grid(factors)
    except UsageError as error:
        return str(error)
    return ""


def _check(study: Study) -> None:
    source = study.source_file
    if CONDITION not in study.sql:
        raise InputError(
            f"{source.at('sql')}: wanted a statement '{CONDITION}' in [sql], found {', '.join(study.sql)}"
        )
    for key, words in study.words.model_dump(by_alias=True).items():
        try:
            fields(words)
        except ValueError as error:
            raise InputError(
                f"{source.at('words', key)}: words.{key}: {error}; write {{{{ for a brace"
            ) from error
    for name in study.sql:
        if name in GIVEN:
            raise InputError(
                f"{source.at('sql', name)}: there is a view '{name}' already; choose another name"
            )
    for machine, names in study.costs.items():
        try:
            known = load_profile(machine).costs
        except UsageError as error:
            raise InputError(f"{source.at('costs', machine)}: {error}") from error
        for cost in names:
            if cost not in known:
                raise InputError(
                    f"{source.at('costs', machine)}: unknown cost '{cost}'{did_you_mean(cost, known)}"
                )


def fields(template: str) -> list[str]:
    """Names that a template of words mentions. Raises ValueError for one that cannot be read."""
    return [name for _, name, _, _ in Formatter().parse(template) if name is not None]


def _explain(error: ValidationError, source: Source) -> str:
    first = error.errors(include_url=False)[0]
    keys = [str(step) for step in first["loc"]]
    where = ".".join(keys)
    if first["type"] == "missing":
        return f"{source.at(*keys)}: wanted '{where}', which is not there; add it"
    if first["type"] == "extra_forbidden":
        known = _File.model_fields if len(keys) == 1 else []
        return f"{source.at(*keys)}: unknown key '{where}'{did_you_mean(keys[-1], known)}"
    found = f", found {first['input']!r}" if isinstance(first["input"], str | int | float) else ""
    return f"{source.at(*keys)}: {where}: {first['msg'].replace('Input should be', 'wanted')}{found}"


_HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+\s*(?:#.*)?$")


def _line_of(text: str, keys: Sequence[str]) -> int | None:
    """Line of a table's header or of a key within it, found without regard to multi-line strings."""
    wanted = list(keys)
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _split(header[1])
            if table == wanted:
                return number
        elif "=" in line:
            own = table + _split(line.partition("=")[0])
            if own == wanted:
                return number
    return None


def _split(key: str) -> list[str]:
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([\w-]+)', key)]
