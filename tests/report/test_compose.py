"""How the blocks of a report are made of its runs."""

from __future__ import annotations

from pipeline.report import compose
from pipeline.report.read_definition import load_definition
from pipeline.sql.library import run_query
from pipeline.sql.session import open_session
from tests.sql.handmade import make_run


def test_what_several_items_ask_is_asked_once(tmp_path, monkeypatch):
    make_run(tmp_path / "a", "pool", [{"mapped_ns": 10, "done_ns": 20}])
    definition, queries = load_definition(None)
    asked = []

    def counted(session, query, params):
        asked.append((query.name, *params.items()))
        return run_query(session, query, params)

    monkeypatch.setattr(compose, "run_query", counted)
    with open_session([tmp_path]) as session:
        made = compose.compose(session, definition, queries)
    of_frequency = [block for block in made.blocks if block.query.name == "flush_frequency"]
    assert len(of_frequency) > 1
    assert len(asked) == len(set(asked))
    assert {block.query.name for block in made.blocks} == {name for name, *_ in asked}
