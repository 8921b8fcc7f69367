"""The room itself: what importing it costs, and that a step's name stands for its function."""

import subprocess
import sys

import pytest


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_a_runtime_takes_is_known_without_anything_heavy():
    heavy = ["numpy", "flatbuffers", "ai_edge_litert", "multiprocessing", "psutil", "tensorflow"]
    program = "import sys, varhandle.facts.targets; print([m for m in {} if m in sys.modules])"
    assert run(program.format(heavy)) == "[]"


@pytest.mark.parametrize(
    "first",
    [
        "import workbook_lib.device",
        "import varhandle.conversion.converter",
        "from varhandle.conversion.converter import inspect_conversion",
        "import varhandle.evaluate.parity, varhandle.conversion.quantization",
        "import importlib; importlib.import_module('varhandle.conversion.freezing')",
    ],
)
def test_a_step_is_its_function_whatever_was_imported_before(first):
    program = (
        f"{first}\n"
        "from workbook_lib.device import convert, freeze, infer, quantize\n"
        "print(*(type(step).__name__ for step in (convert, freeze, infer, quantize)))"
    )
    assert run(program) == " ".join(["function"] * 4)


def test_every_name_of_the_room_is_there_and_no_other():
    program = (
        "import workbook_lib.device as room, types\n"
        "assert not [n for n in room.__all__ if isinstance(getattr(room, n), types.ModuleType)]\n"
        "assert hasattr(room, 'nothing') is False\n"
        "from workbook_lib.device import *\n"
        "from workbook_lib.device import parity, state, targets\n"
        "print(type(parity).__name__, type(state).__name__, Session.__name__)"
    )
    assert run(program) == "module module Session"
