"""Load a report definition, by default the shipped one, and its queries."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import InputError, UsageError, unknown_name
from pipeline.io.files import readable_file
from pipeline.io.resources import shipped_files
from pipeline.io.toml import read_toml
from pipeline.report.charts import KINDS
from pipeline.report.definition import Definition
from pipeline.sql.library import Query, load_query


def load_definition(name_or_path: str | Path | None) -> tuple[Definition, dict[str, Query]]:
    """Load a definition, by default the shipped one, and its queries.

    Raises UsageError for an unknown name, and InputError with file and key for an invalid definition.
    """
    text = str(name_or_path or "default")
    known = shipped_files("reports", ".toml")
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text:
        path = readable_file(Path(text), "a report definition (.toml)")
    elif text in known:
        path = known[text]
    else:
        raise unknown_name("report", text, known, "or give the path of a .toml file", (".toml",))
    try:
        definition = Definition.model_validate(read_toml(path, "a report definition (.toml)"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}") from error
    queries: dict[str, Query] = {}
    for number, section in enumerate(definition.section):
        for place, item in enumerate(section.item):
            where = f"{path}: section.{number}.item.{place}"
            if item.chart not in KINDS:
                *others, last = map(repr, KINDS)
                raise InputError(f"{where}.chart: Input should be {', '.join(others)} or {last}")
            if missing := [name for name in KINDS[item.chart].requires if not getattr(item, name)]:
                raise InputError(f"{where}: chart '{item.chart}' requires {', '.join(missing)}")
            beside = path.parent / item.query
            own = item.query.endswith(".sql") and not Path(item.query).is_absolute()
            try:
                queries[item.query] = load_query(beside if own else item.query)
            except (UsageError, InputError) as error:
                raise InputError(f"{where}.query: {error}") from error
    return definition, queries
