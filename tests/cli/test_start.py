"""What commands do not import: most of the time that a short command takes is spent importing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import answer

COMPILER = ("numba",)
LINKER = ("llvmlite",)
TABLES = ("pyarrow", "numpy")
QUERIES = ("duckdb", "polars", "pyarrow.compute")
CHARTS = ("altair", "vl_convert", "jinja2")
PROMPT = ("prompt_toolkit", "rich")

CODE = """
import sys
from pipeline.cli import main
suspects, sys.argv = sys.argv[1].split(","), ["pipeline", *sys.argv[2:]]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print([name for name in suspects if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A directory with a trace, a run and a report: the simulator is compiled, the page's script is kept."""
    directory = tmp_path_factory.mktemp("house")
    answer("generate", "laptop", "-o", "t.parquet", "--ops", 100, cwd=directory)
    answer("replay", "t.parquet", "-a", "global_pool", "-m", "smp4-2002", cwd=directory)
    answer("report", "-o", "r.html", cwd=directory)
    return directory


@pytest.mark.parametrize(
    ("command", "suspects"),
    [
        ("--help", (*COMPILER, *LINKER, *TABLES, *QUERIES, *CHARTS, *PROMPT, "pydantic")),
        ("replay --help", (*COMPILER, *LINKER, *TABLES, *QUERIES, *CHARTS, *PROMPT)),
        ("workloads", (*COMPILER, *LINKER, *TABLES, *QUERIES, *CHARTS, *PROMPT)),
        (
            "replay t.parquet -a global_pool -m smp4-2002",
            (*COMPILER, *LINKER, *QUERIES, *CHARTS, *PROMPT, "pipeline.runs.execute", "pipeline.runs.feed"),
        ),
        ("machines", (*COMPILER, *LINKER, *QUERIES, *CHARTS, *PROMPT)),
        ("generate laptop -o u.parquet --ops 100", (*COMPILER, *LINKER, *QUERIES, *CHARTS, *PROMPT)),
        (
            "replay t.parquet -a global_pool -m smp4-2002 --fresh",
            (*COMPILER, *QUERIES, *CHARTS, *PROMPT, "pipeline.runs.minimize", "pipeline.importing.formats"),
        ),
        (
            "replay t.parquet -a global_pool -m smp4-2002 --fresh --no-compile -o plain",
            (*COMPILER, *QUERIES, *CHARTS, *PROMPT),
        ),
        ("warm -a global_pool", (*COMPILER, *QUERIES, *CHARTS, *PROMPT)),
        ("sql -n lockmeter", (*COMPILER, *LINKER, *CHARTS, *PROMPT)),
        ("explain runs --op 5", (*COMPILER, *LINKER, *CHARTS, *PROMPT)),
        ("report -o r.md", (*COMPILER, *LINKER, *PROMPT, "vl_convert")),
        ("report -o r.html --force", (*COMPILER, *LINKER, *PROMPT, "vl_convert")),
    ],
)
def test_a_command_imports_nothing_that_it_does_not_need(house, command, suspects):
    done = subprocess.run(
        [sys.executable, "-c", CODE, ",".join(suspects), *command.split()],
        cwd=house, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_named_command_is_the_only_one_whose_file_is_imported(house):
    code = (
        "import sys; from pipeline.cli import make_app; make_app('replay');"
        "print(*sorted(m for m in sys.modules if m.startswith('pipeline.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    named = [name for name in done.stdout.split() if not name.startswith("pipeline.cli._")]
    assert named == ["pipeline.cli.replay"]
