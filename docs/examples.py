"""Run the console examples of a document in an empty directory and print the document with their real output.

    python docs/examples.py README.md > README.new

- In a `console` block, each line that begins with `$ ` is a command. The lines after it are its standard
  output, and for `replay` also its standard error. If they end in a line of three dots, the real output may
  have other lines anywhere, so that a new entry in a list does not change the page.
- A `toml` block with the first line `# FILE.toml` is the content of that file.
- In a page with `text` blocks, each of these follows a `python` block and is its output. The `python`
  blocks run in order in one namespace, as in a notebook.
- A `python` block with the first line `# in FILE` changes that file. Its definitions replace those of the
  same name or are appended, and its imports are added.
- A line `<!-- actions -->`, `<!-- effects -->`, `<!-- formats -->`, `<!-- losses -->`,
  `<!-- lock_losses -->`, `<!-- charts -->` or `<!-- slices -->` is followed by a table made from the
  modules that define these.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from pipeline.allocators.api import actions, effects
from pipeline.export.kinds import describe_slices
from pipeline.importing.import_trace import list_formats
from pipeline.importing.locks.measured import LOSSES
from pipeline.io.tables import markdown_table
from pipeline.report.charts import KINDS
from pipeline.trace.losses import MEANINGS

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"```console\n(.*?)```\n", re.DOTALL)
_CHANGE = re.compile(r"```python\n# in (\S+)\n(.*?)```\n", re.DOTALL)
_FILE = re.compile(r"```toml\n# (\S+\.toml)\n(.*?)```\n", re.DOTALL)
_EXAMPLE = re.compile(f"{_BLOCK.pattern}|{_CHANGE.pattern}|{_FILE.pattern}", re.DOTALL)
_CELL = re.compile(r"```python\n(?!# in )(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)
_WORDS = re.compile(
    r"<!-- (actions|effects|formats|losses|lock_losses|charts|slices) -->\n(?:\n(?:\|.*\n)+)?"
)
# Output that differs between machines or runs.
_TIMES = re.compile(r", \d[\d.,]* s here|(?<= passed) in \d[\d.]*s")
_COMPILING = re.compile(r"^compiling .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A command of the document with the output shown for it."""

    command: str
    output: str


def examples(text: str) -> Iterator[Example]:
    """Yield the commands of all console blocks, in order."""
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield Example(command, output.rstrip("\n"))


def output_of(command: str, directory: Path) -> str:
    """Return the output of a shell command, without text that differs between runs.

    Raises RuntimeError if the command fails.
    """
    # Find the commands installed with this Python, even if its environment is not activated.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # A pytest started by a page is independent of the one that runs this, and of installed plugins.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own |= {"PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, shell=True, cwd=directory, env=own, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}{done.stdout}")
    shown = (done.stderr if command.startswith("pipeline replay") else "") + done.stdout
    return _TIMES.sub("", _COMPILING.sub("", shown)).rstrip("\n")


def changed(source: str, change: str) -> str:
    """Return the source of a module with the definitions and imports of `change` merged into it."""
    lines = source.splitlines(keepends=True)
    there = {name: node for node in ast.parse(source).body for name in _names(node)}
    added = change.splitlines(keepends=True)
    edits: list[tuple[int, int, str]] = []
    comment_from = 1
    for node in ast.parse(change).body:
        # Comments and decorators above a definition belong to it.
        text = "".join(added[comment_from - 1 : node.end_lineno])
        comment_from = (node.end_lineno or 0) + 1
        old = next((there[name] for name in _names(node) if name in there), None)
        if old is None:
            edits.append((len(lines), len(lines), "\n\n" + text.lstrip("\n")))
        elif isinstance(node, ast.ImportFrom):
            edits.append((old.lineno - 1, old.lineno - 1, text))
        else:
            decorators = getattr(old, "decorator_list", [])
            edits.append(
                (min([old, *decorators], key=_line).lineno - 1, old.end_lineno or 0, text.lstrip("\n"))
            )
    for first, last, text in sorted(edits, reverse=True):
        lines[first:last] = [text]
    return "".join(lines)


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _names(node: ast.stmt) -> list[str]:
    """Return the names that a top-level statement defines; for an import, the name of the module."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.ImportFrom):
        return [f"from {node.module}"]
    return [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]


def words(kind: str) -> str:
    """Return the table that belongs to one of the markers `<!-- kind -->`."""
    if kind in {"charts", "slices"}:
        return _charts() if kind == "charts" else describe_slices()
    if kind in {"formats", "losses", "lock_losses"}:
        head = ("format", "what it is") if kind == "formats" else ("name", "what it counts")
        entries = list_formats() if kind == "formats" else MEANINGS if kind == "losses" else LOSSES
        return markdown_table(head, [(f"`{name}`", meaning) for name, meaning in entries.items()])
    if kind == "actions":
        entries = re.findall(r"^    ([A-Z_]+) +(.*(?:\n {18}.*)*)", actions.__doc__ or "", re.MULTILINE)
        rows = [(f"`{name}`", " ".join(meaning.split())) for name, meaning in entries]
    else:
        functions = [f for f in vars(effects).values() if getattr(f, "__module__", "") == effects.__name__]
        rows = [
            (
                f"`{f.__name__}({', '.join(inspect.signature(f).parameters)})`",
                inspect.getdoc(f).split("\n")[0],
            )
            for f in functions
        ]
    return markdown_table(("word", "meaning"), rows)


def _charts() -> str:
    shipped = tomllib.loads((README.parent / "reports" / "default.toml").read_text(encoding="utf-8"))
    query_of = {item["chart"]: item["query"] for section in shipped["section"] for item in section["item"]}
    rows = []
    for name, kind in KINDS.items():
        required = ", ".join(f"`{field}`" for field in kind.requires)
        if kind.columns:
            required = f"the columns of the query `{query_of[name]}`"
        rows.append((f"`{name}`", kind.draws, required))
    return markdown_table(("chart", "draws", "requires"), rows)


def run_cells(text: str) -> str:
    """Return a notebook-like page with the output of its `python` blocks, run in an empty directory."""
    names: dict[str, object] = {}

    def cell(match: re.Match[str]) -> str:
        with redirect_stdout(StringIO()) as printed:
            exec(compile(match[1], "cell", "exec"), names)
        shown = f"\n```text\n{printed.getvalue()}```\n" if printed.getvalue() else ""
        return f"```python\n{match[1]}```\n{shown}"

    with tempfile.TemporaryDirectory() as directory, chdir(directory):
        return _CELL.sub(cell, text)


def fits(shown: str, real: str) -> bool:
    """Tell whether `shown` ends in three dots and its other lines occur in `real`, in the same order."""
    *lines, last = shown.splitlines() or [""]
    there = iter([line.split() for line in real.splitlines()])
    return last == "..." and all(line.split() in there for line in lines)


def filled(text: str) -> str:
    """Return the document with the real output of each command, and with current tables."""
    if "\n```text\n" in text:
        return run_cells(text)
    with tempfile.TemporaryDirectory() as name:

        def example(match: re.Match[str]) -> str:
            if match[2]:
                path = Path(name) / match[2]
                path.write_text(changed(path.read_text(encoding="utf-8"), match[3]), encoding="utf-8")
                return match[0]
            if match[4]:
                (Path(name) / match[4]).write_text(match[5], encoding="utf-8")
                return match[0]
            lines: list[str] = []
            for e in examples(match[0]):
                real = output_of(e.command, Path(name))
                shown = e.output if fits(e.output, real) else real
                lines += [f"$ {e.command}", *shown.splitlines()]
            return "```console\n" + "\n".join(lines) + "\n```\n"

        with_words = _WORDS.sub(lambda match: f"<!-- {match[1]} -->\n\n{words(match[1])}", text)
        return _EXAMPLE.sub(example, with_words)


if __name__ == "__main__":
    document = Path(sys.argv[1]) if sys.argv[1:] else README
    sys.stdout.write(filled(document.read_text(encoding="utf-8")))
