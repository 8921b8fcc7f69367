"""A forked kernel behaves as an ordinary one, in everything that somebody can do to a kernel."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.connect import LocalPortCache
from jupyter_client.kernelspec import get_kernel_spec
from jupyter_client.manager import KernelManager

from warm_kernels import fork_server, provisioner
from warm_kernels.kernel import LAUNCHER
from warm_kernels.kernelspec import PROVISIONER, install, main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")


class Started:
    """A kernel with its client."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    @property
    def pid(self):
        return self.manager.provisioner.pid

    @property
    def is_warm(self):
        return type(self.manager.provisioner.process).__name__ == "ForkedProcess"

    def run(self, code, timeout=120):
        """Run code; return what it prints, and the name of its error at the end."""
        said = []

        def hear(message):
            content = message["content"]
            said.append(content.get("text", "") + content.get("ename", ""))

        # After an error the kernel puts off for a moment whatever comes in.
        aborted = True
        while aborted:
            reply = self.client.execute_interactive(code, output_hook=hear, timeout=timeout)
            aborted = reply["content"]["status"] == "aborted"
        return "".join(said).strip()


@contextlib.contextmanager
def run_kernel(name, **options):
    """Start a kernel by the name of its kernelspec; end it afterwards."""
    manager = KernelManager(kernel_name=name)
    manager.start_kernel(**options)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        yield Started(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(autouse=True, scope="module")
def fresh_server():
    """Other tests of this process may have started one that has less."""
    fork_server.SERVER.stop()


@pytest.fixture(autouse=True)
def as_on_a_learners_machine(monkeypatch):
    """Without the log level that the tests are run with: it asks for a cold kernel."""
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    # pytest's own; a kernel must not depend on them.
    for name in list(os.environ):
        if name.startswith("PYTEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def start():
    """``start(name, **options)``: a kernel that ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda name="python3", **options: stack.enter_context(run_kernel(name, **options))


@pytest.fixture(params=["python3", "python3-cold"])
def kernel(request, start):
    """A kernel, warm and ordinary."""
    found = start(request.param)
    assert found.is_warm == (request.param == "python3")
    return found


#: What code can see of the process that it runs in. Paths of this kernel's own are left out.
SURROUNDINGS = """
import json, multiprocessing.util, os, signal, sys, tempfile, threading
seen = {
    "path": sys.path,
    "arguments": [os.path.basename(sys.argv[0]).removesuffix(".py"), len(sys.argv), sys.argv[1]],
    "folder": os.getcwd(),
    "environment": sorted(set(os.environ) - {"_", "SHLVL"}),
    "parent": os.environ["JPY_PARENT_PID"],
    "main": [__name__, __import__("__main__").__dict__ is globals()],
    "start method": multiprocessing.get_start_method(),
    "daemon": multiprocessing.current_process().daemon,
    "thread": [threading.current_thread() is threading.main_thread()],
    "signals": [str(signal.getsignal(s)) for s in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP)],
    "interrupt": getattr(signal.getsignal(signal.SIGINT), "__name__", None),
    "leads": [os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid()],
    "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    "standard input": os.path.samestat(os.fstat(0), os.stat(os.devnull)) or os.read(0, 1) == b"",
    "umask": os.umask(0o022),
    "temporary": [tempfile.gettempdir(), os.path.dirname(multiprocessing.util.get_temp_dir())],
    "prefix": sys.prefix,
    "flags": str(sys.flags),
    "hook": sys.excepthook is sys.__excepthook__,
    "backend": os.environ["MPLBACKEND"],
}
print(json.dumps(seen))
"""


def wait_until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def ends(pid):
    """Wait for a process to end; tell whether it did."""
    return wait_until(lambda: not alive(pid))


def code_of(process):
    """Wait for the end of what jupyter_client takes for a process; return its exit code."""
    wait_until(lambda: process.poll() is not None)
    return process.poll()


def test_a_kernelspec_is_that_of_ipykernel_but_for_the_provisioner(tmp_path):
    from ipykernel.kernelspec import get_kernel_dict

    warm, cold = (json.loads(path.read_text(encoding="utf-8")) for path in install(tmp_path))
    assert warm["metadata"].pop("kernel_provisioner") == {"provisioner_name": PROVISIONER}
    assert warm == get_kernel_dict()
    assert {**cold, "display_name": warm["display_name"]} == warm
    assert cold["display_name"] == "Python 3 (cold start)"
    assert (tmp_path / "share" / "jupyter" / "kernels" / "python3" / "logo-svg.svg").is_file()
    # Those of this environment, which its installation has put in place.
    warm, cold = get_kernel_spec("python3"), get_kernel_spec("python3-cold")
    assert warm.metadata["kernel_provisioner"]["provisioner_name"] == PROVISIONER
    assert "kernel_provisioner" not in cold.metadata
    assert warm.argv == cold.argv


def test_where_a_kernelspec_cannot_be_written_one_line_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "share").write_text("in the way")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line


def test_code_sees_the_same_surroundings(start, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_TEST_OF_KERNELS", "here")
    start()  # the server is there, and this process has a place for temporary files
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = os.umask(0o027)
    try:
        cold, warm = (start(name, cwd=str(tmp_path)) for name in ("python3-cold", "python3"))
    finally:
        os.umask(before)
    assert warm.is_warm
    assert not cold.is_warm
    assert json.loads(warm.run(SURROUNDINGS)) == json.loads(cold.run(SURROUNDINGS))
    seen = json.loads(warm.run(SURROUNDINGS))
    assert seen["folder"] == str(tmp_path)
    assert seen["temporary"] == [str(tmp_path)] * 2


def test_a_warm_kernel_has_tensorflow_and_what_the_lessons_need(start):
    kernel = start()
    maps = "print('_pywrap_tensorflow' in open('/proc/self/maps').read())"
    assert kernel.run(maps) == "True"
    source = "import tensorflow as tf, keras; print(int(tf.constant(41) + 1),"
    assert kernel.run(source + "keras.config.is_interactive_logging_enabled())").endswith("42 True")


def test_no_two_kernels_draw_the_same_numbers(start):
    draw = (
        "import multiprocessing, random, uuid, numpy, keras, tensorflow as tf\n"
        "key = bytes(multiprocessing.current_process().authkey).hex()\n"
        "print(key, random.random(), uuid.uuid4(), numpy.random.rand(),\n"
        "      float(tf.random.uniform([])), float(keras.random.uniform([])))"
    )
    one, other = (start().run(draw).splitlines()[-1].split() for _ in range(2))
    assert len(one) == 6
    assert not set(one) & set(other)


def interrupted(kernel, code):
    """Interrupt a cell that has said that it began; return the name of its error."""
    client = kernel.client
    # Otherwise, the kernel would abort a cell that comes just after the interrupted one.
    request = client.execute(f"print('begun', flush=True)\n{code}", stop_on_error=False)
    while client.get_iopub_msg(timeout=60)["content"].get("text") != "begun\n":
        pass
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    return reply["content"]["ename"]


def test_an_interrupt_reaches_a_cell_and_what_it_has_started_and_the_next_one_runs(kernel):
    assert interrupted(kernel, "import time; time.sleep(600)") == "KeyboardInterrupt"
    code = "import subprocess; started = subprocess.Popen(['sleep', '600']); started.wait()"
    assert interrupted(kernel, code) == "KeyboardInterrupt"
    # Python may lose the exit code to the interrupt; what counts is that it has ended.
    assert kernel.run("print(started.wait(10) in (0, -2))") == "True"


def test_a_restart_forgets_everything_and_keeps_the_connection(kernel):
    kernel.run("x = 1")
    pid, ports = kernel.pid, kernel.manager.ports
    kernel.manager.restart_kernel(now=False)
    kernel.client.wait_for_ready(timeout=120)
    assert kernel.run("print('x' in globals())") == "False"
    assert kernel.pid != pid
    assert kernel.manager.ports == ports
    assert ends(pid)


@pytest.mark.parametrize("name", ["python3", "python3-cold"])
def test_a_kernel_that_has_run_isolated_code_still_ends_by_itself(start, tmp_path, name):
    temporary, marker = tmp_path / "temporary", tmp_path / "ended"
    temporary.mkdir()
    kernel = start(name, env={**os.environ, "TMPDIR": str(temporary)})
    kernel.run(f"import atexit, pathlib; atexit.register(pathlib.Path({str(marker)!r}).touch)")
    isolated = "from varhandle.sandbox import run_isolated; print(run_isolated(int).value)"
    assert kernel.run(isolated) == "0"
    process = kernel.manager.provisioner.process
    kernel.manager.shutdown_kernel(now=False)
    assert code_of(process) == 0  # not the number of a signal
    assert marker.exists()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("code", "expected"),
    [("import os; os._exit(7)", 7), ("import os; os.abort()", -signal.SIGABRT)],
)
def test_a_kernel_that_dies_is_seen_to_have_died(kernel, code, expected):
    kernel.client.execute(code)
    assert code_of(kernel.manager.provisioner.process) == expected
    assert not kernel.manager.is_alive()


def test_what_c_libraries_write_goes_where_the_caller_wants_it(start, tmp_path):
    for name in ("python3", "python3-cold"):
        with (tmp_path / name).open("w") as log:
            start(name, stderr=log).run("import os; os.write(2, b'native')")
    # ipykernel shows a copy of it to the learner as well.
    assert all("native" in (tmp_path / name).read_text() for name in ("python3", "python3-cold"))


OWNER = """
import sys, time
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name=sys.argv[1])
client.execute("while True: pass")
print(manager.provisioner.pid, flush=True)
time.sleep(600)
"""


def test_what_nobody_has_imported_is_not_there(kernel):
    seen = "print([n for n in ('tensorflow', 'keras') if n in sys.modules])"
    assert kernel.run(f"import sys; {seen}") == "[]"
    assert kernel.run(f"import tensorflow; {seen}").endswith("['tensorflow', 'keras']")


@pytest.mark.parametrize("name", ["python3", "python3-cold"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kernel_ends_when_the_one_that_started_it_is_gone(name, number):
    owner = subprocess.Popen([sys.executable, "-c", OWNER, name], stdout=subprocess.PIPE, text=True)
    pid = int(owner.stdout.readline())
    assert alive(pid)
    owner.send_signal(number)
    owner.wait()
    owner.stdout.close()
    assert ends(pid)


def test_a_kernel_goes_on_when_its_warm_parent_dies_and_the_next_gets_a_new_one(start):
    kernel = start()
    assert kernel.is_warm
    kernel.run("x = 41")
    parent = psutil.Process(kernel.pid).parent()
    parent.kill()
    assert ends(parent.pid)
    assert kernel.run("print(x + 1)") == "42"
    assert kernel.manager.is_alive()
    assert kernel.manager.provisioner.process.poll() is None
    another = start()
    assert another.is_warm
    assert another.run("print(6 * 7)") == "42"
    pid, process = kernel.pid, kernel.manager.provisioner.process
    kernel.manager.shutdown_kernel(now=True)
    assert ends(pid)
    assert code_of(process) is not None


def test_isolated_code_in_a_warm_kernel_is_forked_from_what_the_kernel_has(start):
    kernel = start()
    kernel.run("import os; os.environ['WORKBOOK_TEST_OF_KERNELS'] = 'set in a cell'")
    asked = (
        "from varhandle.sandbox import run_source\n"
        "record = run_source('import os, sys, psutil\\n"
        'value = os.environ["WORKBOOK_TEST_OF_KERNELS"], "tensorflow" in sys.modules,'
        " [p.pid for p in psutil.Process().parents()], os.getppid()', keep=['value'])\n"
        "print(*record.value['value'][:2], os.getpid() in record.value['value'][2])\n"
        "print(record.value['value'][3])"
    )
    said, parent = kernel.run(asked).splitlines()
    assert said == "set in a cell True True"
    # A fork keeps the command line of what it was forked from; a server of its own would have
    # been started with one that names its own files.
    assert psutil.Process(int(parent)).cmdline() == psutil.Process(kernel.pid).cmdline()
    pid = kernel.pid
    kernel.manager.shutdown_kernel(now=True)
    assert ends(pid)
    assert ends(int(parent))


def test_thirty_starts_leave_nothing_behind(start):
    start().run("pass")  # what the first one brings along stays
    us = psutil.Process()
    server_process = psutil.Process(start().pid).parent()
    before = us.num_fds(), server_process.num_fds(), len(us.children(recursive=True))
    pids = set()
    for number in range(30):
        with run_kernel("python3") as kernel:
            assert kernel.is_warm
            assert kernel.run(f"print({number})") == str(number)
            pids.add(kernel.pid)
    assert len(pids) == 30
    assert all(ends(pid) for pid in pids)
    wait_until(lambda: len(us.children(recursive=True)) <= before[2])
    after = us.num_fds(), server_process.num_fds(), len(us.children(recursive=True))
    # A few belong to the event loop and the sockets' context of this process.
    assert after[0] - before[0] < 10
    assert after[1:] == before[1:]


# In this order jupyter_client asks for them.
_CHANNELS = ["shell", "iopub", "stdin", "hb", "control"]


@pytest.mark.parametrize("name", _CHANNELS)
def test_a_port_that_somebody_else_has_taken_meanwhile_is_replaced(start, monkeypatch, name):
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        find = LocalPortCache.find_available_port
        first = [taken if name == asked else None for asked in _CHANNELS]
        monkeypatch.setattr(
            LocalPortCache,
            "find_available_port",
            lambda cache, ip: (first.pop(0) if first else None) or find(cache, ip),
        )
        kernel = start()
        assert not first
        assert kernel.is_warm
        assert kernel.run("print('here')") == "here"
        ports = kernel.manager.ports
        assert taken not in ports
        stored = json.loads(Path(kernel.manager.connection_file).read_text())
        assert [stored[f"{channel}_port"] for channel in ("shell", "hb")] == [ports[0], ports[3]]
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=60)
        assert kernel.manager.ports == ports
        assert kernel.is_warm


def test_a_kernel_whose_clients_know_its_ports_keeps_them(start, monkeypatch):
    """Somebody holds one for a moment while it restarts; a client would wait at it for ever."""
    kernel = start()
    ports, fork, tries = kernel.manager.ports, provisioner.fork_kernel, []

    def fork_beside_another(*args, **kwargs):
        with socket.socket() as somebody:
            somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not tries:
                somebody.bind(("127.0.0.1", ports[0]))
                somebody.listen()
            process = fork(*args, **kwargs)
        tries.append(process.report)
        return process

    monkeypatch.setattr(provisioner, "fork_kernel", fork_beside_another)
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert tries == ["port-taken", "ready"]
    assert kernel.manager.ports == ports
    assert kernel.run("print('here')") == "here"


@pytest.mark.parametrize(
    "variables",
    [
        {"WARM_KERNELS": "off"},
        {"TF_ENABLE_ONEDNN_OPTS": "0"},
        {"PYTHONHASHSEED": "1"},
        {"TF2_BEHAVIOR": "0"},
        {"TF_CPP_MIN_LOG_LEVEL": "2"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_a_variable_that_counts_at_the_start_gets_a_cold_start(start, variables):
    assert start().is_warm
    kernel = start(env={**os.environ, **variables})
    assert not kernel.is_warm
    (name,) = variables
    assert kernel.run(f"import os; print(os.environ[{name!r}])") == variables[name]


def test_other_options_of_a_process_and_a_parent_that_cannot_start_get_a_cold_start(
    start, monkeypatch
):
    assert not start(close_fds=True).is_warm
    assert not start(independent=True).is_warm

    def fail(*_):
        raise OSError("no process more")

    monkeypatch.setattr(fork_server.SERVER, "ask", fail)
    kernel = start()
    assert not kernel.is_warm
    assert kernel.run("print(6 * 7)") == "42"


def test_the_python_of_another_environment_gets_a_cold_start(tmp_path):
    """It is a link to the same executable, and has packages of its own."""
    own = Path(sys.executable)
    other = tmp_path / own.name
    other.symlink_to(own)
    command = ["-m", LAUNCHER, "-f", "connection.json"]
    assert provisioner.forkable([str(own), *command], {}) == command[2:]
    assert provisioner.forkable([str(other), *command], {}) is None


def test_jupyter_server_starts_the_parent_before_the_first_kernel():
    """The extension is asked in a process of its own, which has no parent of kernels yet."""
    script = (
        "import logging, warm_kernels\n"
        "from warm_kernels.fork_server import SERVER\n"
        "class Server: log = logging.getLogger()\n"
        "print(SERVER.is_running)\n"
        "warm_kernels._load_jupyter_server_extension(Server())\n"
        "print(SERVER.is_running)\n"
    )
    for value, expected in (("", "False\nTrue\n"), ("off", "False\nFalse\n")):
        environment = {**os.environ, "WARM_KERNELS": value}
        command = [sys.executable, "-c", script]
        assert subprocess.check_output(command, text=True, env=environment) == expected
