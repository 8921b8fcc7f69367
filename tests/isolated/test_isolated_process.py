"""A child process: what it returns, what it survives, what it costs its caller."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from workbook_lib.isolated import OpError, run_isolated, run_source, silence_native_log


def test_returns_the_names_that_were_kept():
    record = run_source("y = x + 1", inputs={"x": 41}, keep=["y"])
    assert record.ok
    assert record.value == {"y": 42}


def test_the_child_is_another_process():
    assert run_isolated(os.getpid).value != os.getpid()


def test_captures_what_is_printed_and_what_c_writes():
    record = run_source("import os\nprint('out')\nos.write(2, b'native\\n')")
    assert record.output == "out\n"
    assert "native" in record.log
    assert "native" not in record.output


def test_an_exception_is_a_record_that_names_the_line():
    record = run_source("x = 1\n\nx / 0  # here")
    assert (record.outcome, record.exception_type) == ("raised", "ZeroDivisionError")
    assert (record.line_number, record.line) == (3, "x / 0  # here")
    assert "line 3" in repr(record)


def test_the_line_is_that_of_the_source_and_not_of_the_library_below_it():
    record = run_source("import json\nvalue = '{'\njson.loads(value)")
    assert (record.line_number, record.line) == (3, "json.loads(value)")


def test_a_syntax_error_is_a_record_too():
    record = run_source("x = (1\n")
    assert (record.exception_type, record.line_number) == ("SyntaxError", 1)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ],
)
def test_a_crash_is_a_record(source, name):
    record = run_source(source)
    assert (record.outcome, record.exit_signal) == ("crashed", name)


def test_an_early_exit_is_a_crash_with_its_code():
    record = run_source("import os; os._exit(3)")
    assert record.outcome == "crashed"
    assert "exit code 3" in record.message


def test_sys_exit_is_an_exception_like_any_other():
    assert run_source("import sys; sys.exit(4)").exception_type == "SystemExit"


def test_a_hanging_child_is_ended_with_all_that_it_started(tmp_path):
    marker = tmp_path / "pid"
    source = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    record = run_source(source, timeout=2)
    assert record.outcome == "timed out"
    grandchild = int(marker.read_text())
    for _ in range(50):
        if not _alive(grandchild):
            break
        time.sleep(0.1)
    assert not _alive(grandchild)


def _alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_greedy_child_is_ended():
    source = "import time\nblock = b'x' * (1500 * 2**20)\ntime.sleep(60)"
    record = run_source(source, memory_limit=2**30, timeout=30)
    assert record.outcome == "out of memory"


def test_a_result_that_cannot_travel_is_said_to_be_so():
    record = run_source("f = lambda: 0", keep=["f"])
    assert record.outcome == "raised"
    assert "pickle" in record.message.lower()


def test_a_name_that_was_never_defined_is_named():
    record = run_source("a = 1", keep=["a", "b"])
    assert record.exception_type == "NameError"
    assert "b" in record.message


def test_a_function_that_cannot_travel_is_refused_before_it_runs():
    with pytest.raises(ValueError, match="%%isolated"):
        run_isolated(lambda: 0)


def test_converter_errors_come_back_as_data(running_total, save_module):
    folder = str(save_module(running_total("float16")))
    source = "import tensorflow as tf\ntf.lite.TFLiteConverter.from_saved_model(folder).convert()"
    record = run_source(source, inputs={"folder": folder})
    assert record.exception_type == "ConverterError"
    assert OpError("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS") in record.errors
    assert "tf.VarHandleOp" in record.failing_ops
    assert "is neither a custom op nor a flex op" in record.log  # C++ writes it there as well
    assert folder not in record.text()


def test_a_script_without_a_main_guard_can_use_it(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from workbook_lib.isolated import run_source\n"
        "print(run_source('x = 2', keep=['x']).value)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "{'x': 2}\n"


def test_a_server_without_tensorflow_starts_without_it(tmp_path):
    script = tmp_path / "litert_only.py"
    script.write_text(
        "from workbook_lib.isolated import run_isolated\n"
        'question = \'"tensorflow" in __import__("sys").modules\'\n'
        "print(run_isolated(eval, question, tensorflow=False).value)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "False\n"


def test_silencing_hides_the_native_stream_and_not_the_errors_of_python():
    source = (
        "import os, sys\n"
        "sys.stderr = os.fdopen(os.dup(2), 'w')\n"  # as a kernel does: its own stream
        "from workbook_lib.isolated import silence_native_log\n"
        "silence_native_log()\n"
        "os.write(2, b'native')\n"
        "print('python', file=sys.stderr, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stderr == "python\n"
    assert callable(silence_native_log)
