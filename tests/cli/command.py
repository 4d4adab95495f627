"""The installed command, as a user calls it."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipeline.cli import run

PIPELINE = Path(sys.executable).with_name("pipeline")


def pipeline(*words: Any, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `pipeline` with `words` in `cwd`."""
    return subprocess.run(
        [PIPELINE, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )


def answer(*words: Any, cwd: Path) -> str:
    """What a command that succeeds prints."""
    done = pipeline(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(*words: Any, cwd: Path, status: int) -> str:
    """The one line with which a command refuses: nothing on stdout, no traceback, `status`.

    The command line is run here, in this process: there are many mistakes to make.
    """
    before = everything(cwd)
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "stdin", io.StringIO()), chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        found = run([*map(str, words)])
    lines = [line for line in err.getvalue().splitlines() if not line.startswith("compiling ")]
    assert out.getvalue() == ""
    assert len(lines) == 1, lines
    assert lines[0].startswith("pipeline: ")
    assert found == status, lines[0]
    assert everything(cwd) == before
    return lines[0].removeprefix("pipeline: ")


def everything(directory: Path) -> dict[str, int]:
    """Every file below a directory with its size; an empty directory is nothing."""
    return {str(path): path.stat().st_size for path in directory.rglob("*") if path.is_file()}
