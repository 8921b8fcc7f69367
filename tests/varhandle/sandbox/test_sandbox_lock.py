"""The lock on a process that opens a stranger's model: what it keeps in, and what it lets through.

Each way out is tried in the child by code that may do whatever it likes, as a model's own code may
once somebody has said ``--trust``. Without the lock the same code gets out, or nothing was shown.
"""

import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from varhandle.graph import TensorSpec
from varhandle.sandbox import lock, plain_data, run_isolated
from varhandle.sandbox.lock import locking

needs_lock = pytest.mark.skipif(
    bool(lock.why_no_lock()), reason=f"this kernel has no lock: {lock.why_no_lock()}"
)


def attempt(source, **names):
    """Run code in a locked child; return the record."""
    return run_isolated(execute, textwrap.dedent(source), names, tensorflow=False, timeout=60)


def execute(source, names):
    """Run code, in the child."""
    exec(source, names)
    return names.get("result")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a secret in it."""
    run_isolated(int, tensorflow=False)  # libraries write into the home of whoever imports them
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    keys = tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True)
    (keys / "id").write_text("secret")
    return tmp_path / "home"


FILES = {
    "write": "open(home + '/new', 'w').write('x')",
    "append": "open(home + '/.ssh/id', 'a').write('x')",
    "read": "result = open(home + '/.ssh/id').read()",
    "list": "result = os.listdir(home + '/.ssh')",
    "read relatively": "os.chdir(home); result = open('.ssh/id').read()",
    "remove": "os.unlink(home + '/.ssh/id')",
    "make a folder": "os.mkdir(home + '/new')",
    "rename away": "os.rename(home + '/.ssh/id', temporary + '/taken')",
    "rename over": "open(temporary + '/x', 'w'); os.rename(temporary + '/x', home + '/.ssh/id')",
    "link in": "os.link(home + '/.ssh/id', temporary + '/taken')",
    "a symbolic link": "os.symlink(home, temporary + '/way'); os.listdir(temporary + '/way')",
    "through /proc": "result = open('/proc/self/root' + home + '/.ssh/id').read()",
    "cut short": "os.truncate(home + '/.ssh/id', 0)",
    "close to its owner": "os.chmod(home + '/.ssh/id', 0)",
    "make a program": "os.chmod(home + '/.ssh/id', 0o4755)",
    "change the time": "os.utime(home + '/.ssh/id', (0, 0))",
    "a pipe": "os.mkfifo(temporary + '/pipe')",
    "a device": "os.mknod(temporary + '/null', 0o20666, os.makedev(1, 3))",
    "watch": """
import ctypes
made = ctypes.CDLL(None, use_errno=True)
if made.inotify_add_watch(made.inotify_init(), home.encode(), 0xFFF) < 0:
    raise OSError(ctypes.get_errno(), "")
""",
}


def state_of(folder):
    paths = sorted(folder.rglob("*"))
    return [(str(p), p.lstat().st_mode, p.lstat().st_mtime_ns, p.lstat().st_size) for p in paths]


@needs_lock
@pytest.mark.parametrize("way", FILES)
def test_no_file_is_reached(way, home):
    before = state_of(home)
    code = f"import os, tempfile\ntemporary = tempfile.gettempdir()\n{FILES[way]}"
    record = attempt(code, home=str(home))
    assert record.exception_type in {"PermissionError", "OSError"}, record
    assert record.message.startswith(("[Errno 1]", "[Errno 13]", "[Errno 18]"))
    assert state_of(home) == before
    assert record.value is None


@needs_lock
@pytest.mark.parametrize("way", ["write", "read", "rename away", "change the time", "watch"])
def test_without_the_lock_it_is(way, home):
    code = f"import os, tempfile\ntemporary = tempfile.gettempdir()\n{FILES[way]}"
    with locking(False):
        assert attempt(code, home=str(home)).ok


@needs_lock
@pytest.mark.skipif(
    not lock.why_no_lock() and lock.landlock_version() < 5, reason="this kernel locks no devices"
)
def test_a_device_is_read_and_not_commanded():
    code = "import fcntl; fcntl.ioctl(open('/dev/urandom'), 0x80045200, bytes(4))"  # RNDGETENTCNT
    with locking(False):
        assert attempt(code).ok
    assert attempt(code).exception_type == "PermissionError"


PROCESSES = {
    "a program": "import subprocess; subprocess.run(['true'])",
    "a shell": "import os; result = os.system('true'); assert result == 0",
    "a fork": "import os; os.fork() or os._exit(0)",
    "a program in memory": """
        import os, ctypes
        place = os.memfd_create("x")
        os.write(place, open("/bin/true", "rb").read())
        os.execve(place, ["x"], {})
        """,
    "another's memory": "result = open(f'/proc/{parent}/mem', 'rb').read(1)",
    "another's environment": "result = open(f'/proc/{parent}/environ', 'rb').read(1)",
    "another's command line": "result = open(f'/proc/{parent}/cmdline', 'rb').read(1)",
    "a signal to the parent": "import os, signal; os.kill(parent, signal.SIGUSR1)",
    "a signal by its file": """
        import os, signal
        signal.pidfd_send_signal(os.pidfd_open(other), signal.SIGKILL)
        """,
    "limits of another": "from resource import *; prlimit(other, RLIMIT_NOFILE, (9, 9))",
    "a signal by a pipe": "import fcntl, os; fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, other)",
    "a signal by a pipe's newer call": """
        import fcntl, os, struct
        fcntl.fcntl(os.pipe()[0], 15, struct.pack("ii", 1, other))
        """,
    "processors of another": "import os; os.sched_setaffinity(other, [0])",
    "a connection": "import socket; socket.create_connection(address, 5)",
    "a datagram": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', address)",
    "a listener": "import socket; socket.create_server(('127.0.0.1', 0))",
    "a local socket": "import socket; socket.socket(socket.AF_UNIX)",
    "a pair of sockets": "import socket; socket.socketpair()",
}


@pytest.fixture
def other():
    """Start a process that may come to harm, with no more rights than those of a locked one."""

    def drop():
        lock._control(lock._PR_SET_NO_NEW_PRIVS, 1)
        lock._drop_capabilities()

    with subprocess.Popen(
        ["sleep", "600"],
        start_new_session=True,
        preexec_fn=drop,  # noqa: PLW1509 - a test has no other threads
    ) as process:
        yield process
        process.kill()


@needs_lock
@pytest.mark.parametrize("way", PROCESSES)
def test_no_process_is_reached(way, other):
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            names = {"parent": os.getpid(), "other": other.pid, "address": server.getsockname()}
            record = attempt(PROCESSES[way], **names)
            server.settimeout(0.05)
            with pytest.raises(TimeoutError):
                server.accept()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert record.outcome == "raised", record
    assert record.exception_type in {"PermissionError", "AssertionError"}
    assert not heard
    assert other.poll() is None


@needs_lock
def test_a_fork_bomb_does_not_go_off():
    record = attempt(
        """
        import os
        result = 0
        for _ in range(10_000):
            try:
                os.fork()
                result += 1
            except PermissionError:
                pass
        """
    )
    assert record.value == 0


@needs_lock
def test_more_threads_than_any_model_has_end_it():
    code = """
        import threading, time
        for _ in range(4000):
            threading.Thread(target=time.sleep, args=(60,)).start()
        """
    record = attempt(code)
    assert not record.ok
    assert "threads" in record.message or record.exception_type == "RuntimeError"


@needs_lock
def test_a_file_has_an_end():
    code = "import tempfile\nfile = tempfile.TemporaryFile()\nfile.truncate(2**30)"
    record = run_isolated(execute, code, {}, tensorflow=False, memory_limit=2**29)
    assert record.exception_type == "OSError"
    assert "too large" in record.message.lower()


HOLDING = """
import os, sys
from varhandle.sandbox.lock import lock_this_process
held = open(sys.argv[1])
lock_this_process([], [], largest_file=2**20, kept=1)
for name in os.listdir('/proc/self/fd'):
    if os.path.lexists(f'/proc/self/fd/{name}'):
        print(os.readlink(f'/proc/self/fd/{name}'))
"""


# Room on the disk without the work of writing into it.
FILL = """
import mmap, os, tempfile, time
def fill(file):
    os.posix_fallocate(file.fileno(), 0, 2**26)
"""
WRITES = {
    "many files": "for n in range(20): fill(open(f'{folder}/{n}', 'wb'))",
    "one below another": (
        "for n in range(20): os.makedirs(f'{folder}/{n}/a'); fill(open(f'{folder}/{n}/a/b', 'wb'))"
    ),
    "no files but names": "for n in range(17_000): os.mkdir(f'{folder}/{n}')",
    "deeper than a path can say": (
        "os.chdir(folder)\nfor n in range(50): os.mkdir('d' * 100); os.chdir('d' * 100)"
    ),
    "files without a name": (
        "held = [open(f'{folder}/{n}', 'wb') for n in range(20)]\n"
        "for one in held: os.unlink(one.name); fill(one)"
    ),
    "a map of a file without a name": (
        "one = open(f'{folder}/one', 'w+b'); one.write(bytes(4096)); one.flush()\n"
        "held = mmap.mmap(one.fileno(), 4096); os.unlink(one.name); one.close()"
    ),
}


@needs_lock
@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("own", [True, False])
def test_all_files_together_have_an_end(how, own, tmp_path, monkeypatch):
    with contextlib.ExitStack() as stack:
        if how == "no files but names" and os.access("/dev/shm", os.W_OK):  # a disk is slow at it
            tmp_path = stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))
            monkeypatch.setattr(tempfile, "tempdir", tmp_path)
        folder = "tempfile.mkdtemp()" if own else "given"
        source = f"{FILL}folder = {folder}\n{WRITES[how]}\ntime.sleep(9999)"
        record = run_isolated(
            *(execute, source, {"given": str(tmp_path)}),
            **{"writes": [tmp_path], "memory_limit": 2**30, "timeout": 3600, "tensorflow": False},
        )
    assert (record.outcome, record.message) == ("crashed", "ended: it wrote over 1.0 GiB")


@needs_lock
def test_what_was_there_before_does_not_count(tmp_path):
    for number in range(3):
        with (tmp_path / str(number)).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 2**29)
    source = f"{FILL}fill(open(given + '/more', 'wb')); time.sleep(1)"
    record = run_isolated(
        *(execute, source, {"given": str(tmp_path)}),
        **{"writes": [tmp_path], "memory_limit": 2**30, "tensorflow": False},
    )
    assert record.ok, record.message


@needs_lock
def test_no_open_file_is_used_on(tmp_path):
    """A child is forked from a process that may have files open: a kernel's connections, say."""
    (tmp_path / "secret").touch()
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "secret")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "/proc/" in done.stdout
    assert "secret" not in done.stdout


@needs_lock
def test_root_has_no_rights_left_but_to_read():
    status = attempt("result = open('/proc/self/status').read()").value
    held = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
    assert int(held["CapPrm"], 16) & ~2 == 0
    assert int(held["CapEff"], 16) & ~2 == 0
    assert "NoNewPrivs:\t1" in status
    assert "Threads:\t1" in status


@needs_lock
def test_what_was_named_can_be_read_and_what_was_not_cannot(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("model/a", "beside"):
        (tmp_path / name).write_text(name)
    read = Path.read_text
    paths = [tmp_path / name for name in ("model/a", "beside")]
    first, second = [
        run_isolated(read, path, tensorflow=False, reads=[tmp_path / "model"]) for path in paths
    ]
    assert first.value == "model/a"
    assert second.exception_type == "PermissionError"
    written = run_isolated(
        Path.write_text, tmp_path / "model" / "new", "x", tensorflow=False, reads=[tmp_path]
    )
    assert written.exception_type == "PermissionError"
    for name, ok in (("model/new", True), ("new", False)):
        done = run_isolated(
            Path.write_text, tmp_path / name, "x", tensorflow=False, writes=[tmp_path / "model"]
        )
        assert done.ok == ok


@pytest.mark.parametrize("locked", [True, False])
def test_the_temporary_folder_is_its_own_and_goes(tmp_path, monkeypatch, locked):
    """Keras, for one, leaves a folder there when it has unpacked the assets of a file."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    record = run_isolated(tempfile.mkdtemp, tensorflow=False, locked=locked)
    assert record.value.startswith(f"{tmp_path}/isolated-")
    assert list(tmp_path.iterdir()) == []


def test_what_comes_back_is_plain():
    values = [
        {"a": [1, 2.5, None, True, b"x", "y", (1,), {3}, frozenset({4}), 2j, bytearray(b"z")]},
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([[b"a", "b", None]], dtype=object),
        np.float16(1.5),
        np.array(["x", "yz"]),
        TensorSpec("x", "float32", (1, None)),
    ]
    for value in values:
        back = plain_data.loads(plain_data.dumps(value))
        assert type(back) is type(value)
        np.testing.assert_equal(back, value)
    import ml_dtypes

    narrow = np.array([1.5, 2], dtype=ml_dtypes.bfloat16)
    back = plain_data.loads(plain_data.dumps(narrow))
    assert back.dtype == narrow.dtype
    assert (back == narrow).all()


class Evil:
    """Runs what it likes where it is unpickled."""

    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    "value", [Evil(), os.system, Path("/"), np.dtype("O"), subprocess.Popen, [Evil()]]
)
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(pickle.UnpicklingError, match="is no"):
        plain_data.loads(pickle.dumps(value))


@pytest.mark.parametrize("name", ["O", "i4,O"])
def test_objects_are_not_made_of_addresses(name):
    arguments = pickle.dumps((name, (1,), bytes(12)), 3)[2:-1]
    forged = b"\x80\x03cvarhandle.sandbox.plain_data\n_array\n" + arguments + b"R."
    with pytest.raises(pickle.UnpicklingError, match="array"):
        plain_data.loads(forged)


@needs_lock
def test_a_record_that_was_forged_runs_nothing():
    """The child can write what it likes in place of the record; it is read as data alone."""
    code = """
        import os, tempfile, time
        place = tempfile.gettempdir() + '/result'
        open(place + '.new', 'wb').write(forged)
        os.rename(place + '.new', place)
        time.sleep(1)
        """
    record = attempt(code, forged=pickle.dumps({"outcome": "ok", "value": Evil()}))
    assert record.message.startswith("the result cannot be read back: posix.system is no plain")


@needs_lock
def test_a_child_cannot_have_another_process_ended(other):
    """Its end of the socket to the caller is where its own number came from."""
    code = """
        import os, stat
        for n in map(int, os.listdir('/proc/self/fd')):
            try:
                if stat.S_ISSOCK(os.fstat(n).st_mode):
                    os.write(n, f'pid {victim}\\n'.encode())
            except OSError:
                pass
        """
    attempt(code, victim=other.pid)
    assert other.poll() is None


@needs_lock
def test_a_home_on_the_search_path_is_not_read(home, monkeypatch):
    """A script may lie there, and Python looks for modules beside it."""
    for above in (home, home.parent):
        monkeypatch.syspath_prepend(str(above))
    assert not {str(home), str(home.parent)} & set(lock.search_path())
    record = attempt("result = open(path).read()", path=str(home / ".ssh" / "id"))
    assert record.exception_type == "PermissionError"


def test_the_working_folder_is_not_on_the_search_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert str(tmp_path) not in lock.search_path()


def test_a_user_without_a_home_has_a_search_path(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert sys.prefix in " ".join(lock.search_path())


def test_where_there_is_no_lock_it_is_said_once(monkeypatch):
    monkeypatch.setattr(lock, "why_no_lock", lambda: "Landlock: Function not implemented")
    lock._can_lock.cache_clear()
    try:
        with pytest.warns(lock.NoLockWarning, match="without a lock by the kernel") as said:
            for _ in range(3):
                assert run_isolated(os.getpid, tensorflow=False).ok
        assert len(said) == 1
    finally:
        lock._can_lock.cache_clear()


def test_threads_of_a_caller_lock_their_own_children():
    seen = []
    with locking(False):
        thread = threading.Thread(target=lambda: seen.append(lock._wanted.get()))
        thread.start()
        thread.join()
        assert not lock._wanted.get()
    assert seen == [True]  # the safe side: a new thread knows nothing of the block


def test_a_block_does_not_lock_what_is_open_around_it():
    with locking(False):
        with locking(True):
            assert not lock._wanted.get()
        assert not lock._wanted.get()
    assert lock._wanted.get()


@pytest.mark.parametrize(
    ("version", "files", "network", "scopes"),
    [(1, 13, 0, 0), (2, 14, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (5, 16, 3, 0), (6, 16, 3, 3)],
)
def test_each_kernel_is_asked_for_all_that_it_can_refuse(
    version, files, network, scopes, *, monkeypatch
):
    """By landlock(7): rights of files, TCP from the fourth version, scopes from the sixth."""
    asked = []

    def call(number, *arguments):
        if number != lock._CREATE_RULESET:
            return 0
        asked.append(struct.unpack("QQQ", arguments[0]))
        return os.open("/", os.O_RDONLY)

    monkeypatch.setattr(lock, "landlock_version", lambda: version)
    monkeypatch.setattr(lock, "_call", call)
    lock._restrict_files([], [])
    assert asked == [((1 << files) - 1, network, scopes)]
