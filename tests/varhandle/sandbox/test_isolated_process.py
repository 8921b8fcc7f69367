"""A child process: what it returns, what it survives, what it costs its caller."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from varhandle.sandbox import OpError, cancellable, run_isolated, run_source
from varhandle.sandbox.record import Record
from varhandle.sandbox.scratch import temporary_folder

IMPORTS = "from varhandle.sandbox import run_isolated, run_source\n"


@pytest.fixture
def run_script(tmp_path):
    """Run a script without a main guard in a process of its own; return what it prints."""

    def run(source):
        script = tmp_path / "unguarded.py"
        script.write_text(IMPORTS + source)
        command = [sys.executable, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    return run


@pytest.fixture
def sleeper(tmp_path):
    """Source that starts a process which would sleep on, and where its id is written."""
    marker = tmp_path / "pid"
    source = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(marker)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
    )
    return source, marker


def test_another_process_returns_the_names_that_were_kept():
    record = run_source(
        "import os\ny, pid = x + 1, os.getpid()", inputs={"x": 41}, keep=["y", "pid"]
    )
    assert record.ok
    assert record.value["y"] == 42
    assert record.value["pid"] != os.getpid()


def test_captures_what_is_printed_and_what_c_writes():
    record = run_source("import os\nprint('out')\nos.write(2, b'native\\n')")
    assert record.output == "out\n"
    assert "native" in record.log
    assert "native" not in record.output


@pytest.mark.parametrize(
    ("source", "exception", "number", "line"),
    [
        ("x = 1\n\nx / 0  # here", "ZeroDivisionError", 3, "x / 0  # here"),
        # The line is that of the source, and not of the library below it.
        ("import json\nvalue = '{'\njson.loads(value)", "JSONDecodeError", 3, "json.loads(value)"),
        ("x = (1\n", "SyntaxError", 1, "x = (1"),
        ("import sys; sys.exit(4)", "SystemExit", 1, "import sys; sys.exit(4)"),
        (
            "class Mute(Exception):\n    def __str__(self): raise OSError\nraise Mute",
            *("Mute", 3, "raise Mute"),
        ),
        (
            "import sys\nsys.stdout.close()\nraise KeyError('x')",
            *("KeyError", 3, "raise KeyError('x')"),
        ),
    ],
)
def test_an_exception_is_a_record_that_names_the_line(source, exception, number, line):
    record = run_source(source)
    assert (record.outcome, record.exception_type) == ("raised", exception)
    assert (record.line_number, record.line) == (number, line)
    assert f"line {number}" in repr(record)


@pytest.mark.parametrize("end", ["", "raise KeyError"])
def test_what_is_registered_for_the_end_of_a_process_happens(end):
    """TensorFlow writes the source of what it has traced into files, and deletes them then."""
    record = run_source(
        "import atexit, os, sys, tensorflow as tf\n"
        "def branch(x):\n"
        "    if x > 0:\n"
        "        return x\n"
        "    return -x\n"
        "tf.function(branch)(tf.constant(1))\n"
        "traced = [sys.modules[name] for name in sys.modules if name.startswith('__autograph_')]\n"
        "print(*[module.__file__ for module in traced if os.path.exists(module.__file__)])\n"
        "atexit.register(print, 'the end')\n" + end
    )
    file, *rest = record.output.splitlines()
    assert "__autograph_" in file
    assert not Path(file).exists()
    assert rest == ["the end"]


def test_exit_functions_of_what_a_child_was_forked_from_are_not_its_own():
    record = run_source(
        "import atexit, os\n"
        "from varhandle.sandbox import run_isolated\n"
        "from varhandle.sandbox.fork_server import start_nested_fork_server\n"
        "os.environ['TF_CPP_MIN_LOG_LEVEL'] = '0'\n"
        "atexit.register(print, 'of the parent')\n"
        "start_nested_fork_server()\n"
        "print('server' if run_isolated(os.getppid).value != os.getpid() else 'this process')\n"
        "print([run_isolated(int).output])\n"
    )
    assert record.output == "server\n['']\nof the parent\n"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.kill(os.getpid(), 40)", "signal 40"),  # which has no name
    ],
)
def test_a_crash_is_a_record(source, name):
    record = run_source(source)
    assert (record.outcome, record.exit_signal) == ("crashed", name)


def test_an_early_exit_is_a_crash_with_its_code():
    record = run_source("import os; os._exit(3)")
    assert record.outcome == "crashed"
    assert "exit code 3" in record.message


def test_a_hanging_child_is_ended_with_all_that_it_started(sleeper):
    source, marker = sleeper
    run_source("")  # what it is forked from has imported by now
    assert run_source(source + "time.sleep(600)", timeout=3).outcome == "timed out"
    assert all_end(marker)


def all_end(marker):
    """Wait for the processes to end whose ids are in a file; tell whether they did."""
    pids = [int(pid) for pid in marker.read_text().split()]
    return wait_until(lambda: not any(_alive(pid) for pid in pids))


def wait_until(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def _alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_the_code_starts_and_leaves_is_ended_and_not_waited_for():
    record = run_source(
        "import multiprocessing, time\n"
        "left = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,))\n"
        "left.start()\n"
        "print(left.pid)",
        timeout=20,
    )
    assert record.ok
    assert wait_until(lambda: not _alive(int(record.output)))


def test_a_greedy_child_is_ended():
    source = "import time\nblock = b'x' * (1500 * 2**20)\ntime.sleep(60)"
    record = run_source(source, memory_limit=2**30, timeout=30)
    assert record.outcome == "out of memory"


@pytest.mark.parametrize(
    ("source", "keep", "said"),
    [
        ("f = lambda: 0", ["f"], "pickle"),
        ("class Own:\n    pass\nvalue = Own()", ["value"], "cannot be read back"),
        ("a = 1", ["a", "b"], "without defining b"),
    ],
)
def test_a_result_that_cannot_be_had_is_said_to_be_so(source, keep, said):
    record = run_source(source, keep=keep)
    assert record.outcome == "raised"
    assert said in record.message.lower()


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


def test_a_script_without_a_main_guard_can_use_it(run_script):
    assert run_script("print(run_source('x = 2', keep=['x']).value)") == "{'x': 2}\n"


def test_tensorflow_is_imported_once_also_after_a_child_that_needs_none(run_script):
    """Not once in each child: that took three seconds of each step of a repair."""
    said = run_script(
        "import os, psutil\n"
        "def server(**options):\n"
        "    process = psutil.Process(run_isolated(os.getppid, **options).value)\n"
        "    maps = [one.path for one in process.memory_maps()]\n"
        "    return process.pid, any('pywrap_tensorflow' in path for path in maps)\n"
        "(small, has), *large = server(tensorflow=False), server(), server()\n"
        "print(has, [has for _, has in large], len({pid for pid, _ in large}))\n"
        "print(server(tensorflow=False) == (small, False))\n"
        "source = 'import keras; print(keras.config.is_interactive_logging_enabled())'\n"
        "record = run_source(source)\n"
        "print(record.output.strip(), 'oneDNN' in record.log)\n"
    )
    assert said == "False [True, True] 1\nTrue\nFalse False\n"


def test_one_server_does_for_both_where_tensorflow_is_there(run_script):
    """And has imported what its caller had of the tool, which no child has to import again."""
    said = run_script(
        "import os\n"
        "import varhandle.repair.run\n"
        "first = run_isolated(os.getppid).value\n"
        "print(run_isolated(os.getppid, tensorflow=False).value == first)\n"
        "source = 'import sys; there = \"varhandle.repair.run\" in sys.modules'\n"
        "print(run_source(source, keep=['there']).value['there'])\n"
    )
    assert said == "True\nTrue\n"


def test_silencing_hides_the_native_stream_and_not_the_errors_of_python():
    source = (
        "import os, sys\n"
        "sys.stderr = os.fdopen(os.dup(2), 'w')\n"  # as a kernel does: its own stream
        "from varhandle.sandbox import silence_native_log\n"
        "silence_native_log()\n"
        "os.write(2, b'native')\n"
        "print('python', file=sys.stderr, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stderr == "python\n"


def test_silencing_hides_what_tensorflow_tells_a_kernel_and_not_its_warnings(run_script):
    said = run_script(
        "import sys\n"
        "from varhandle.sandbox import silence_native_log\n"
        "silence_native_log()\n"
        "sys.ps1 = 'In: '\n"  # as a kernel has it: TensorFlow sets its log to INFO, and prints it
        "import tensorflow as tf\n"
        "tf.get_logger().info('Assets written to: /tmp/tmp1')\n"
        "tf.get_logger().warning('deprecated')\n"
    )
    assert said == "WARNING:tensorflow:deprecated\n"


@pytest.mark.parametrize("end", ["os._exit(3)", "os.abort()", "pass"])
def test_what_the_child_started_ends_with_it_however_it_ends(sleeper, end):
    source, marker = sleeper
    run_source(source + end)
    assert all_end(marker)


@pytest.mark.skipif(sys.platform != "linux", reason="the signal at the parent's death is Linux's")
@pytest.mark.parametrize(
    "loop", ["while True: pass", "import ctypes; ctypes.PyDLL(None).pause()"], ids=["Python", "C"]
)
def test_a_child_does_not_outlive_its_parent(tmp_path, sleeper, loop):
    """A restarted kernel must not leave an endless loop behind, nor one that lets no thread run."""
    source, marker = sleeper
    code = f"{IMPORTS}run_isolated(exec, {source + loop!r}, tensorflow=False, locked=False)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    assert wait_until(lambda: marker.exists() and marker.read_text(), seconds=60)
    parent.kill()
    parent.wait()
    assert all_end(marker)


def test_code_runs_as_it_would_in_a_cell():
    source = (
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "kind = str(Point.__annotations__['x'])\n"
    )
    assert run_source(source, keep=["kind"]).value == {"kind": "<class 'int'>"}


def test_large_results_come_back():
    assert len(run_source("data = bytes(5_000_000)", keep=["data"]).value["data"]) == 5_000_000


def test_isolated_code_may_isolate_in_turn():
    source = (
        "from varhandle.sandbox import run_isolated\n"
        "value = run_isolated(int, '41', tensorflow=False).value + 1"
    )
    assert run_source(source, keep=["value"]).value == {"value": 42}


def test_what_only_the_callers_main_has_is_refused_in_words(run_script):
    said = run_script(
        "class Mine: pass\n"
        "try:\n"
        "    run_source('pass', inputs={'mine': Mine()})\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    assert "Mine is defined in __main__" in said


def test_without_fork_a_child_imports_for_itself(monkeypatch):
    """As on Windows: slower, and the same record."""
    monkeypatch.delattr(os, "fork")
    record = run_isolated(os.getppid, tensorflow=False)
    assert (record.outcome, record.value) == ("ok", os.getpid())
    failed = run_isolated(eval, "1 / 0", tensorflow=False)
    assert failed.exception_type == "ZeroDivisionError"
    crashed = run_isolated(os._exit, 3, tensorflow=False)
    assert "exit code 3" in crashed.message
    endless = run_isolated(time.sleep, 600, tensorflow=False, timeout=1)
    assert endless.outcome == "timed out"


def test_what_children_are_forked_from_is_replaced_when_it_dies(sleeper):
    source, marker = sleeper
    server = psutil.Process(run_isolated(os.getppid).value)
    record = run_source(f"{source}os.kill({server.pid}, 9)\ntime.sleep(600)", timeout=60)
    assert record.outcome == "crashed"
    assert record.message.endswith("with the one that it was forked from")
    assert record.ended_by_system
    assert all_end(marker)
    assert run_isolated(os.getppid).value not in (server.pid, 1)


def test_where_nothing_can_be_forked_for_a_while_a_later_child_comes(run_script):
    """It is told by its exit code; then the server serves on, and ends as it should."""
    said = run_script(
        "import os, socket\n"
        "from varhandle.sandbox import zygote\n"
        "ours, theirs = socket.socketpair()\n"
        "fork, refusals = os.fork, [BlockingIOError('no process more')]\n"
        "def limited():\n"
        "    if refusals:\n"
        "        raise refusals.pop()\n"
        "    return fork()\n"
        "server = fork()\n"
        "if not server:\n"
        "    ours.close()\n"
        "    os.fork = limited\n"
        "    zygote.serve(theirs)\n"
        "theirs.close()\n"
        "for _ in range(2):\n"
        "    mine, channel = socket.socketpair()\n"
        "    socket.send_fds(ours, [b'x'], [channel.fileno()])\n"
        "    channel.close()\n"
        "    lines = mine.makefile()\n"
        "    word, number = lines.readline().split()\n"
        "    print(word, number if word == 'exit' else '')\n"
        "    mine.shutdown(socket.SHUT_WR)\n"
        "    print(lines.read())\n"
        "ours.close()\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]))\n"
    )
    assert said.split() == ["exit", "71", "pid", "exit", "1", "0"]


def test_threads_read_the_right_exit_codes():
    """Each looks after children that others have started, and none takes another's code."""
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda code: run_isolated(os._exit, code), range(64)))
    assert [record.message.split()[-1] for record in records] == [str(n) for n in range(64)]


def test_what_is_called_off_is_ended_and_what_comes_later_does_not_start(monkeypatch):
    event = threading.Event()
    threading.Timer(1.0, event.set).start()
    with cancellable(event):
        assert run_isolated(time.sleep, 600).outcome == "cancelled"
        monkeypatch.setattr("varhandle.sandbox.process.start_child", pytest.fail)
        assert run_isolated(int).outcome == "cancelled"


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    us, server = psutil.Process(), psutil.Process(run_isolated(os.getppid).value)
    before = us.num_fds(), server.num_fds(), us.children(recursive=True)
    for _ in range(20):
        run_isolated(int)
        run_isolated(os.abort)
        run_isolated(time.sleep, 600, timeout=0)
    assert wait_until(lambda: us.children(recursive=True) == before[2])
    # The server may not have closed yet what the child before had, when it was counted.
    assert us.num_fds() == before[0] and server.num_fds() <= before[1]
    assert not list(tmp_path.iterdir())


def test_a_child_has_the_surroundings_of_its_caller_now(tmp_path, monkeypatch):
    run_isolated(int)  # the server is there, with other ones
    (tmp_path / "only_here.py").write_text("VALUE = 42")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SET_LATER", "yes")
    monkeypatch.syspath_prepend("")
    source = "import os, only_here, signal\nseen = [only_here.VALUE, os.environ['SET_LATER']]\n"
    source += "seen += [os.getcwd(), signal.getsignal(signal.SIGINT).__name__, os.read(0, 1)]"
    seen = run_source(source, keep=["seen"]).value["seen"]
    assert seen == [42, "yes", str(tmp_path), "default_int_handler", b""]


def test_what_a_child_writes_has_the_mode_that_its_caller_gives_now(tmp_path):
    before = os.umask(0o022)
    try:
        for number, mask in enumerate((0o077, 0o002, 0o027)):
            os.umask(mask)
            path = tmp_path / str(number)
            assert run_isolated(path.touch, writes=[tmp_path], tensorflow=False).ok
            assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    finally:
        os.umask(before)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_process(number):
    asked = "print(run_isolated(os.getppid, tensorflow=False).value, flush=True)"
    code = f"{IMPORTS}import os, time\n{asked}\ntime.sleep(600)"
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    server = int(owner.stdout.readline())
    owner.send_signal(number)
    owner.wait()
    owner.stdout.close()
    assert wait_until(lambda: not _alive(server))


def test_a_server_that_nobody_asked_is_not_waited_for(run_script):
    said = run_script(
        "from varhandle.sandbox import fork_server\n"
        "fork_server.start_fork_server(tensorflow=False)\n"
        "server = fork_server._without\n"
        "print(server.runs, end=' ')\n"
        "server._end()\n"
        "print(server._process.returncode)\n"
    )
    assert said == "True -9\n"


def test_a_folder_is_removed_however_deep_it_is(tmp_path, monkeypatch):
    """Python itself removes no more than a thousand levels."""
    (tmp_path / "other" / "kept").mkdir(parents=True)
    source = "for n in range(1500): os.mkdir('d'); os.chdir('d')\nopen('f', 'w'); os.umask(0o777)"
    with temporary_folder(f"{tmp_path}/deep-") as folder:
        command = [sys.executable, "-c", f"import os\n{source}\nos.mkdir('nobody may look')"]
        subprocess.run(command, cwd=folder, check=True)
        Path(folder, "link").symlink_to(tmp_path / "other")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "other", tmp_path / "other/kept"]


def test_an_error_of_the_converter_that_names_no_op_names_none():
    errors = (OpError("", "ERROR_UNKNOWN"), OpError("tf.Erf", "ERROR_NEEDS_FLEX_OPS"))
    assert Record("raised", errors=errors).failing_ops == ("tf.Erf",)
