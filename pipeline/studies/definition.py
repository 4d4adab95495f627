"""The file of a study: a claim, its runs, the SQL that evaluates them, and the text of the answer.

    claim = "More slots mean fewer flushes"
    source = "linux-kernel, March 2002"

    [grid]                      # as in `pipeline sweep`; shared by [grids.NAME], if any
    trace = "kernel_build"
    allocator = "global_pool"
    machine = "numaq16"
    replications = 6
    options.slots = [128, 1024]

    [sql]                       # each entry is a view that later entries can use
    pairs = "SELECT ..."
    condition = "SELECT ... AS setting, replication, ... AS holds FROM pairs"
    numbers = "SELECT avg(...) AS flushes FROM pairs"

    [words]
    text = "A pool of 1,024 slots flushes {flushes:,.0f} times."

Two views are given: `results` has a row for each run with the column `grid`, and `points` adds derived
figures (`points.sql`). The macro `half_width(x)` is half of the 95 % confidence interval of a mean.
`condition` returns a row for each setting and replication, with whether the claim `holds` there (NULL: the
row does not count). `numbers` returns one row, whose columns the text can use.
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
"""What is wrong if a claim does not hold; an expectation is a claim that no author has made."""

STUDIES = "reports/studies"
"""Folder of the shipped studies."""
CONDITION, NUMBERS = "condition", "numbers"
GIVEN = ("results", "points")
"""Views that the statements of every study can use."""
COUNTED = ("settings", "held", "holding", "failing", "untold", "replications")
"""Names that a text can use in addition to the columns of `numbers`: the number of settings and of those in
which the claim holds; the settings in which it holds, in which it does not, and whose replications are
inconclusive; and the smallest number of replications of a setting."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Table):
    """The text of the answer: `text` for every outcome, preceded by the text for one outcome."""

    text: str = ""
    holds: str = ""
    does_not_hold: Annotated[str, Field(alias="does not hold")] = ""
    depends: str = ""
    cannot_tell: Annotated[str, Field(alias="cannot tell")] = ""

    def of(self, outcome: Outcome) -> str:
        """The text for one outcome; "" if there is none."""
        own: str = getattr(self, outcome.replace(" ", "_"))
        return own


class Opinion(_Table):
    """An opinion of the outcome `expected`, which is out of date if the outcome differs."""

    expected: Outcome
    words: str
    wrong: Wrong = "nobody"


class Curves(_Table):
    """A chart of a view: `y` over `x`, as the mean of replications with its confidence interval.

    The columns `colour` and `panel` distinguish lines and panels.
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
    """A table of a view: the heading and the template of each column, such as "{slots:,}"."""

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
    """The file of a study, for messages with a line number."""

    path: Path
    text: str

    def at(self, *keys: str) -> str:
        """The file with the line of a key, or of its table, or without a line if neither is found."""
        for depth in range(len(keys), 0, -1):
            if line := _line_of(self.text, keys[:depth]):
                return f"{self.path}:{line}"
        return str(self.path)


@dataclass(frozen=True)
class Study:
    """A study as read from its file; the module describes the keys.

    `collection` names the document that the study belongs to, `label` its place there, and `about` the
    designs that it judges. `exact`, if not empty, says why the runs are free of chance, so that each setting
    has one run. `costs` names the costs, by machine, that matter most for the outcome.
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
        """Argument of `pipeline study`: the name of a shipped study, the path of any other."""
        shipped = shipped_files(STUDIES, ".toml").get(self.name)
        return self.name if shipped == self.source_file.path else str(self.source_file.path)

    @property
    def heading(self) -> str:
        """The claim, preceded by its label in the collection."""
        return f"({self.label}) {self.claim}" if self.label else self.claim


def read_study(path: Path) -> Study:
    """Read a study. Raises InputError, with file and line, for a file that is not a study."""
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
        claim=" ".join(file.claim.split()),
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
        raise InputError(f"{source.path}: expected a table [grid] or tables [grids.NAME], found neither")
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
            f"{source.at('sql')}: expected a statement '{CONDITION}' in [sql], found {', '.join(study.sql)}"
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
            raise InputError(f"{source.at('sql', name)}: view '{name}' already exists; choose another name")
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
    """Names that a template uses. Raises ValueError for an invalid template."""
    return [name for _, name, _, _ in Formatter().parse(template) if name is not None]


def _explain(error: ValidationError, source: Source) -> str:
    first = error.errors(include_url=False)[0]
    keys = [str(step) for step in first["loc"]]
    where = ".".join(keys)
    if first["type"] == "missing":
        return f"{source.at(*keys)}: required key '{where}' is missing; add it"
    if first["type"] == "extra_forbidden":
        known = _File.model_fields if len(keys) == 1 else []
        return f"{source.at(*keys)}: unknown key '{where}'{did_you_mean(keys[-1], known)}"
    found = f", found {first['input']!r}" if isinstance(first["input"], str | int | float) else ""
    return f"{source.at(*keys)}: {where}: {first['msg'].replace('Input should be', 'expected')}{found}"


_HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+\s*(?:#.*)?$")


def _line_of(text: str, keys: Sequence[str]) -> int | None:
    """Line of a table's header or of a key in it; multi-line strings are not recognised."""
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
