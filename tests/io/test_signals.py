"""A signal ends the process even where Python discards the exception that it raises."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_FINALIZER = """\
class Slow:
    def __del__(self):
        print("here", flush=True)
        time.sleep(30)

def work():
    Slow()
"""
_CALLED_BY_NATIVE_CODE = """\
import ctypes

@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def called(number):
    print("here", flush=True)
    time.sleep(30)
    return number

def work():
    called(1)
"""
_PROGRAM = """\
import time
from pipeline.io import interrupts
{work}
interrupts.catch()
work()
print("continued")
"""


@pytest.mark.parametrize("work", [_FINALIZER, _CALLED_BY_NATIVE_CODE], ids=["finalizer", "native"])
def test_it_ends_with_one_line_where_exceptions_are_discarded(work: str) -> None:
    command = [sys.executable, "-c", _PROGRAM.format(work=work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (143, "", "pipeline: terminated\n")
