"""The package: importing it costs nothing, its names are there, and TensorFlow is not needed."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import varhandle

STUB = Path(varhandle.__file__).with_suffix(".pyi")


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HEAVY = ["numpy", "flatbuffers", "ai_edge_litert", "multiprocessing", "psutil", "tensorflow"]


@pytest.mark.parametrize("imported", ["varhandle", "varhandle.facts.targets", "varhandle.formats"])
def test_an_import_brings_nothing_heavy(imported):
    program = f"import sys, {imported}; print([m for m in {HEAVY} if m in sys.modules])"
    assert run(program) == "[]"


def test_what_looks_for_a_difference_is_imported_where_there_is_one():
    found = "[m for m in sys.modules if m.startswith('varhandle.divergence.')]"
    assert run(f"import sys, varhandle.repair.run; print({found})") == "[]"


def test_reading_a_saved_model_brings_nothing_heavy(save_module, running_total):
    """It answers in a tenth of a second, which NumPy alone would take."""
    program = (
        "import sys, varhandle; assert varhandle.diagnose(sys.argv[1], static=True).variables; "
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    assert run(program, save_module(running_total("float16"))) == "[]"


def test_every_public_name_is_what_its_module_holds():
    imports = [
        node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom)
    ]
    homes = {alias.asname: node.module for node in imports for alias in node.names}
    assert set(homes) | {"__version__"} >= set(varhandle.__all__)
    for name, module in homes.items():
        home = importlib.import_module(f"varhandle.{module}")
        assert getattr(varhandle, name) is getattr(home, name)
    assert not hasattr(varhandle, "nothing")


def test_a_tflite_file_needs_no_tensorflow(tmp_path, counting_file):
    path = tmp_path / "total.tflite"
    path.write_bytes(counting_file)
    program = """if True:
        import sys, numpy as np
        from pathlib import Path
        import varhandle
        path, x = Path(sys.argv[1]), np.ones(4, np.float32)
        content = path.read_bytes()
        assert varhandle.Session(path)(x) and varhandle.infer(path, [x]).ok
        assert varhandle.profile_ops(path, x) and varhandle.measure_memory(path, x)
        assert varhandle.inspect_conversion(content).variables
        assert varhandle.check_parity(lambda x: x, content, [x]).passed
        assert varhandle.lift_state(content).inputs
        print(sorted({"tensorflow", "keras"} & set(sys.modules)))
    """
    assert run(program, path) == "[]"
