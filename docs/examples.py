"""Run the console examples of README.md in an empty directory; print it with their real output filled in.

    python docs/examples.py > README.new

In a block marked `console`, each line that begins with `$ ` is a command, and what follows is its standard
output, or, for `replay`, its standard error too. A line of three dots stands for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"```console\n(.*?)```\n", re.DOTALL)
# What differs from machine to machine, or from run to run.
_TIMES = re.compile(r", \d[\d.,]* s here")
_COMPILING = re.compile(r"^compiling .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One command of the document with the output it is said to have."""

    command: str
    output: str


def examples(text: str) -> Iterator[Example]:
    """Commands of all console blocks, in order."""
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield Example(command, output.rstrip("\n"))


def output_of(command: str, directory: Path) -> str:
    """Run a command in a shell; its output without what no two runs share. Raises if it fails."""
    # The command that belongs to this Python, whether its environment is activated or not.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=directory, env=os.environ | {"PATH": path}, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    shown = (done.stderr if command.startswith("pipeline replay") else "") + done.stdout
    return _TIMES.sub("", _COMPILING.sub("", shown)).rstrip("\n")


def filled(text: str) -> str:
    """Return the document with each command's real output."""
    with tempfile.TemporaryDirectory() as name:

        def block(match: re.Match[str]) -> str:
            parts = [f"$ {e.command}\n{output_of(e.command, Path(name))}\n" for e in examples(match[0])]
            return "```console\n" + "".join(parts) + "```\n"

        return _BLOCK.sub(block, text)


if __name__ == "__main__":
    sys.stdout.write(filled(README.read_text(encoding="utf-8")))
