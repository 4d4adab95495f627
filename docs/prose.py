"""Check the words that users read: documents, docstrings, messages, queries, studies and templates.

`make lint` runs it over the project, and `python docs/prose.py FILE...` over some files. The general rules
are proselint's. docs/prose.toml adds the project's own: wordings to avoid, each with what to write instead.

Each file is reduced to its prose first. Everything else (code, markup, keys, SQL) is blanked, and line
breaks are kept, so line numbers stay true.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from proselint.checks import __register__
from proselint.config import DEFAULT, Config
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

HERE = Path(__file__).parent
ROOT = HERE.parent
CHECKED = ("*.md", "*.sql", "*.j2", "*.toml", "pipeline/*.py", "benchmarks/*.py", "docs/*.py", "traces/*.py")
# What is not prose of the project's own: the licence, settings, and inputs of tests.
LEFT_OUT = re.compile(r"^(LICENSE|pyproject\.toml|tests/.*|docs/prose\.toml|\.\w+/.*)$")
MOST_WORDS = 40
# A string of fewer words is a name or a fragment.
FEWEST_WORDS = 4


class Rule(NamedTuple):
    """A wording to avoid.

    pattern: what it looks like. say: what to write in its place. bad, good: an example of each.
    """

    pattern: re.Pattern[str]
    say: str
    bad: str
    good: str


class Finding(NamedTuple):
    """Where a rule applies: line (from 1), the words found, and what to do about them."""

    line: int
    found: str
    advice: str


def rules() -> tuple[list[Rule], dict[str, bool]]:
    """Return the project's rules, and which checks of proselint apply."""
    settings = tomllib.loads((HERE / "prose.toml").read_text())
    own = [
        Rule(re.compile(entry["pattern"], re.IGNORECASE), entry["say"], entry["bad"], entry["good"])
        for entry in settings["rule"]
    ]
    return own, settings["proselint"]


def blank(text: str, mark: str = " ") -> str:
    """Return `text` with every character but line ends replaced by `mark`."""
    return re.sub(r"[^\n]", mark, text)


def blanked(text: str, *patterns: str, mark: str = " ") -> str:
    """Return `text` without what matches one of `patterns`."""
    for pattern in patterns:
        text = re.sub(pattern, lambda match: blank(match[0], mark), text, flags=re.DOTALL | re.MULTILINE)
    return text


def markdown(text: str) -> str:
    """Keep paragraphs, lists and tables; code becomes an X for each character."""
    text = blanked(
        text, r"^ *```.*?^ *```$", r"^(?: {4}|\t)(?!\s*[-*0-9])[^\n]*", r"<!--.*?-->", r"<[a-z/][^>\n]*>"
    )
    text = blanked(text, r"(?<=\])\([^)\s]*\)", r"https?://\S+", r"^\|[-:| ]+\|$", r"\*\*|__")
    return blanked(text, r"(`+)[^`].*?\1", mark="X")


def template(text: str) -> str:
    """Keep the text of a Jinja template; what it fills in becomes an X for each character."""
    text = blanked(text, r"\{#.*?#\}", r"\{%.*?%\}", r"<(style|script|svg).*?</\1>", r"<[^>]*>")
    return blanked(text, r"\{\{.*?\}\}", r"\{[^{}\n]*\}", r"`[^`\n]+`", mark="X")


def sql(text: str) -> str:
    """Keep comments, without the names of what they describe. Each line of a header begins a sentence."""
    text = re.sub(r"^.*?(--|$)", lambda line: blank(line[0]), text, flags=re.MULTILINE)
    named = r"(?:macro|view|question|param|column): *(?:\w+;|\w+ = \S+;)?"
    label = rf"^\s*(?:{named}|(?:example|reads|kept|summed):.*)"
    return re.sub(label, lambda match: "." + blank(match[0][1:]), text, flags=re.MULTILINE)


def settings(text: str) -> str:
    """Keep comments and strings of a TOML file, without SQL."""
    text = blanked(text, r"^\[sql\].*?(?=^\[)", r"^(trace|source_url) = [^\n]*", r"^\[[^\n]*")
    text = blanked(
        text, r"^[\w.\"-]+ = (?![\"'\[])[^#\n]*", r"^[\w.\"-]+ = \[[^\]]*\]", r"^[\w.\"-]+ = ", r"'''|\"\"\""
    )
    return blanked(text, r"\{[^{}\n]*\}", r"`[^`\n]+`", mark="X")


def python(text: str) -> str:
    """Keep docstrings, and strings that are sentences: of several words, and neither SQL nor a pattern."""
    documented = {
        node.body[0].lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
    }
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    kept = list(blank(text))
    kinds = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    unseen = {tokenize.NL, tokenize.COMMENT}
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in unseen]
    for token, following in pairwise(tokens):
        if token.type not in kinds:
            continue
        words = token.string
        if token.start[0] not in documented and not sentence(words):
            continue
        begin = starts[token.start[0] - 1] + token.start[1]
        words = blanked(words, r"\A[a-zA-Z]*(\"\"\"|\"|')", r"(\"\"\"|\"|')\Z", r"\\n")
        words = blanked(words, r"(?<!\{)\{[^{}]*\}", r"(`+)[^`]+?\1", r"https?://\S+", mark="X")
        if token.type == tokenize.STRING and following.type != tokenize.STRING:
            # Entries of a list are separate sentences.
            words = f"{words[:-1]}."
        kept[begin : begin + len(words)] = words
    return "".join(kept)


def sentence(words: str) -> bool:
    """Tell whether a string of code is text for people."""
    if re.search(
        r"\b(SELECT|FROM|CREATE|WITH|JOIN|WHERE|function)\b|=>|<\w+[ >]|^[rRbB]+[\"']|\\[dws]", words
    ):
        return False
    return len(re.findall(r"\b[a-zA-Z][a-z]+\b(?![_(.=])", words)) >= FEWEST_WORDS


READERS: dict[str, Callable[[str], str]] = {
    ".md": markdown, ".j2": template, ".sql": sql, ".toml": settings, ".py": python,
}  # fmt: skip


def prose(path: Path) -> str:
    """Return the prose of the file on the lines where it is, with at most two blanks between words."""
    return re.sub(" {2,}", "  ", READERS[path.suffix](path.read_text()))


def long_sentences(text: str) -> Iterator[Finding]:
    """Find sentences of more than MOST_WORDS words. Lists, table cells and colons end a sentence too."""
    ends = r"[.?!:;]+(?=[\s)\"'*]|$)|\n\s*\n|\n\s*(?=[-*#>]|\d+\. |\w+  )|\|"
    begin = 0
    for end in [*re.finditer(ends, text), None]:
        piece = text[begin : end.start() if end else len(text)]
        words = re.findall(r"[A-Za-z]{2,}|\b[aI]\b", piece)
        if len(words) > MOST_WORDS:
            first = begin + len(piece) - len(piece.lstrip())
            line = text.count("\n", 0, first) + 1
            yield Finding(line, " ".join(words[:6]) + " ...", f"{len(words)} words; split the sentence")
        begin = end.end() if end else len(text)


def findings(text: str, own: list[Rule], checks: dict[str, bool]) -> list[Finding]:
    """Return the findings in a text: those of the project's rules, of long sentences and of proselint."""
    found = list(long_sentences(text))
    for rule in own:
        for match in rule.pattern.finditer(text):
            words = " ".join(match[0].split())
            found.append(Finding(text.count("\n", 0, match.start()) + 1, words, rule.say))
    config: Config = {"max_errors": 1000, "checks": checks}
    for result in LintFile("text", text).lint(config) if text.strip() else []:
        begin, end = result.check_result.span
        words = " ".join(f"\n{text}\n"[begin:end].split())
        line = f"\n{text}"[:begin].count("\n")
        found.append(
            Finding(max(line, 1), words, f"{result.check_result.message} ({result.check_result.check_path})")
        )
    return sorted(found)


def tracked() -> list[Path]:
    """Return the project's files that hold prose."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *CHECKED],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [ROOT / name for name in sorted(names) if not LEFT_OUT.match(name) and (ROOT / name).exists()]


def main(names: list[str]) -> int:
    """Print findings of the files named, or of all; return 1 if there are any, 2 if a file cannot be read."""
    CheckRegistry().register_many(__register__)
    own, chosen = rules()
    checks = dict(sorted((DEFAULT["checks"] | chosen).items(), key=lambda item: -item[0].count(".")))
    count = 0
    for path in [Path(name).resolve() for name in names] or tracked():
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        try:
            text = prose(path)
        except (KeyError, OSError, UnicodeDecodeError, SyntaxError) as error:
            endings = ", ".join(READERS)
            print(
                f"{shown}: expected text in a file that ends in {endings}, found {error!r}", file=sys.stderr
            )
            return 2
        for finding in findings(text, own, checks):
            print(f"{shown}:{finding.line}: {finding.found!r}: {finding.advice}")
            count += 1
    if count:
        print(f"{count} findings; docs/prose.toml has the project's rules")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
