"""A lock by the kernel on the process that opens a stranger's model.

Once it is on, the process and whatever it starts can read Python, its libraries and what it was
given, and write into the folders that it was given; it cannot start a program or another process,
open a socket, or signal anybody else. Nothing takes the lock off again.

Three things of Linux make it. Landlock (landlock(7)) lists the files that may be opened: what is
not on the list is refused. A seccomp filter (seccomp(2)) refuses the calls that Landlock does not
look at. Root loses its capabilities, and resource limits bound what one process can take. All are
there for every user, without a library and without privileges; each number below is the kernel's.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import errno
import functools
import os
import platform
import site
import stat
import struct
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # alike everywhere but on Alpha
_OF_VERSION, _PATH_BENEATH = 1, 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _REFER = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 13
_READ = _READ_FILE | _READ_DIR
_WRITE = (
    _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
)
"""No links, sockets, pipes or devices: whoever reads the folder afterwards finds plain files."""
_OF_A_FILE = _WRITE_FILE | _READ_FILE | _TRUNCATE
# What each version of Landlock can refuse; a right that a kernel does not know must not be asked.
_FILES_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_FROM, _TCP = 4, 0b11  # bind and connect
_SCOPES_FROM, _SCOPES = 6, 0b11  # abstract sockets and signals, of processes outside

_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/localtime")
_KERNEL = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys", "/sys")
_DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom")
_OWN, _PROCESSES = "/proc/self", "/proc"

_PR_SET_NO_NEW_PRIVS = 38
_CAP_VERSION, _CAP_DAC_OVERRIDE = 0x20080522, 1 << 1
"""The one capability that root keeps: to read files of other users, as far as Landlock allows."""

# Names of calls that are refused, and their numbers on x86-64 and on 64-bit ARM.
_REFUSED = {
    "socket": (41, 198), "socketpair": (53, 199),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221),
    "execveat": (322, 281), "kill": (62, 129), "tkill": (200, 130),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "truncate": (76, 45), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "bpf": (321, 280),
    "inotify_add_watch": (254, 27), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
}  # fmt: skip
_CLONE, _CLONE3, _TGKILL, _PRLIMIT = (56, 220), (435, 435), (234, 131), (302, 261)
_SETAFFINITY, _FCNTL = (203, 122), (72, 25)
_SET_OWNER, _SET_OWNER_EX = 8, 15  # of fcntl(2): who gets the signals of a pipe
_SECCOMP = (317, 277)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # AUDIT_ARCH_…
_CLONE_THREAD = 0x00010000


class NoLockWarning(RuntimeWarning):
    """The kernel has no lock for the processes that open models."""


_wanted = contextvars.ContextVar("locked", default=True)


@contextlib.contextmanager
def locking(on: bool) -> Iterator[None]:
    """Lock the children that open models within this block, or do not (``--no-lock``)."""
    token = _wanted.set(on and _wanted.get())
    try:
        yield
    finally:
        _wanted.reset(token)


def is_lock_on() -> bool:
    """Tell whether a child that is started here and now is to be locked."""
    return _wanted.get() and _can_lock()


def denied_by_lock(what: str, consequence: str = "") -> str:
    """Say that the lock keeps a trusted model from something, and how to let it."""
    kept = f"the lock kept outside what the model reaches for ({what}){consequence}"
    return f"{kept}: if you trust the model, say --no-lock"


@functools.cache
def _can_lock() -> bool:
    """Tell whether the kernel can lock, and warn once if it cannot."""
    fault = why_no_lock()
    if fault:
        said = f"models run without a lock by the kernel ({fault}): open those that you trust"
        warnings.warn(said, NoLockWarning, stacklevel=2)
    return not fault


@functools.cache
def why_no_lock() -> str:
    """Say why this machine cannot lock a process; empty if it can."""
    if sys.platform != "linux":
        return f"there is none on {platform.system()}"
    try:
        landlock_version()
    except OSError as error:
        return f"Landlock: {error.strerror}"
    return ""


@functools.cache
def landlock_version() -> int:
    """Return the version of the kernel's Landlock; raises ``OSError`` if it has none."""
    return _call(_CREATE_RULESET, None, 0, _OF_VERSION)


def _call(number: int, *arguments: object) -> int:
    """Make a system call; raises ``OSError``."""
    made = ctypes.CDLL(None, use_errno=True).syscall
    made.restype = ctypes.c_long
    result = int(made(ctypes.c_long(number), *(_word(argument) for argument in arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _word(value: object) -> object:
    return ctypes.c_ulong(value) if isinstance(value, int) else value


def lock_this_process(
    reads: Iterable[str], writes: Iterable[str], *, largest_file: int, kept: int
) -> None:
    """Lock this process, which has one thread yet; raises ``OSError`` if that does not work.

    ``reads`` are files and folders that it may read, ``writes`` folders that it may change as
    well. Of its open files only the standard streams and the descriptor ``kept`` stay open: one
    that was opened before could be used after. A file may have ``largest_file`` bytes.
    """
    import resource  # which Windows has not

    for descriptor in [int(entry.name) for entry in Path(_OWN, "fd").iterdir()]:
        if descriptor > 2 and descriptor != kept:
            with contextlib.suppress(OSError):  # that of the listing is closed by now
                os.close(descriptor)
    # What is known of this process stays the same file as long as somebody holds it.
    os.open(_OWN, os.O_PATH)
    for kind, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, largest_file)):
        hard = resource.getrlimit(kind)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (bound, bound))
    _control(_PR_SET_NO_NEW_PRIVS, 1)
    _restrict_files(reads, writes)
    _drop_capabilities()
    _refuse_calls()


def _control(*arguments: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(*(ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0))):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def hold_to_folders(folders: Iterable[str]) -> None:
    """Let this process, and what it starts, open Python and these folders, and nothing else.

    A path that leads elsewhere is refused by the kernel whenever it came to do so: before a check,
    or after it. Programs may be started, and the network is open. It has one thread yet; raises
    ``OSError`` if that does not work.
    """
    _control(_PR_SET_NO_NEW_PRIVS, 1)
    folders = list(folders)
    _restrict(
        _WRITE,
        (_READ, (*_libraries(), *search_path(), *_SYSTEM, *_KERNEL, *_DEVICES, _PROCESSES)),
        (_WRITE, folders),
        (_REMOVE_DIR, [str(Path(folder).parent) for folder in folders]),  # of what is its own
    )


def _restrict_files(reads: Iterable[str], writes: Iterable[str]) -> None:
    version = landlock_version()
    handled = max((n, rights) for n, rights in _FILES_BY_VERSION.items() if n <= version)[1]
    _restrict(
        handled,
        (_READ, (*_libraries(), *_SYSTEM, *_KERNEL, *_DEVICES, _OWN, *reads)),
        (_WRITE, writes),
        network=_TCP if version >= _TCP_FROM else 0,
        scopes=_SCOPES if version >= _SCOPES_FROM else 0,
    )


def _restrict(
    handled: int, *rules: tuple[int, Iterable[str]], network: int = 0, scopes: int = 0
) -> None:
    """Refuse the rights ``handled``, but for those of the rules, each with its paths."""
    version = landlock_version()
    handled &= max((n, rights) for n, rights in _FILES_BY_VERSION.items() if n <= version)[1]
    attributes = struct.pack("QQQ", handled, network, scopes)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for rights, paths in (*rules, (_OF_A_FILE, (os.devnull,))):
            for path in dict.fromkeys(paths):
                _allow(ruleset, path, rights & handled)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what is not there cannot be opened either
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_A_FILE
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _libraries() -> Iterator[str]:
    """Yield where this Python is, and the settings that Keras reads when it is imported."""
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values())
    yield from site.getsitepackages()
    yield str(Path(os.environ.get("KERAS_HOME") or _home() / ".keras", "keras.json"))


def _home() -> Path:
    try:
        return Path.home().resolve()
    except RuntimeError:  # a container may run as a user that nobody knows
        return Path("/")


def search_path() -> list[str]:
    """Return where this process looks for modules, as far as a locked one may look as well.

    Not the working folder, and none that holds the user's home: a script may lie anywhere.
    """
    home = _home()
    found = [Path(entry).resolve() for entry in sys.path if entry]
    return [str(path) for path in found if path != Path("/") and not home.is_relative_to(path)]


def _drop_capabilities() -> None:
    """Give up what root may do beyond its own files; another user has nothing to give up."""
    header = struct.pack("Ii", _CAP_VERSION, 0)
    keep = _CAP_DAC_OVERRIDE if os.geteuid() == 0 else 0
    capset = ctypes.CDLL(None, use_errno=True).capset
    if capset(header, struct.pack("6I", keep, keep, 0, 0, 0, 0)):
        capset(header, bytes(24))  # it did not even have that one


def _refuse_calls() -> None:
    """Install the filter, where the numbers of its calls are known."""
    column, architecture = _ARCHITECTURES.get(platform.machine(), (None, 0))
    if column is None or sys.maxsize < 2**32:
        return
    program = _filter(column, architecture)
    code = ctypes.create_string_buffer(program)
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _call(_SECCOMP[column], 1, 0, described)


def _filter(column: int, architecture: int) -> bytes:
    """Assemble the filter: the number of a call decides, of six calls an argument as well."""
    load, jump_if_equal, jump_if_any, give = 0x20, 0x15, 0x45, 0x06
    # Places in struct seccomp_data; an argument has two words.
    number, arch, first, second = 0, 4, 16, 24
    allow, refuse = 0x7FFF0000, 0x00050000 | errno.EPERM
    unknown, end = 0x00050000 | errno.ENOSYS, 0x80000000

    def op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    def unless(call: int, argument: int, test: bytes) -> bytes:
        """Refuse a call unless a test on one of its arguments skips the refusal."""
        body = op(load, argument) + test + op(give, refuse) + op(give, allow)
        return op(jump_if_equal, call, 0, len(body) // 8) + body

    own = os.getpid()
    parts = [
        op(load, arch) + op(jump_if_equal, architecture, 1) + op(give, end) + op(load, number),
        # The 32-bit calls of x86-64 have other numbers; they are not needed by anybody.
        op(jump_if_any, 0x40000000, 0, 1) + op(give, unknown) if column == 0 else b"",
        # A thread is a clone with a flag; the newer call hides its flags, and libc has the other.
        op(jump_if_equal, _CLONE3[column], 0, 1) + op(give, unknown),
        unless(_CLONE[column], first, op(jump_if_any, _CLONE_THREAD, 1)),
        unless(_TGKILL[column], first, op(jump_if_equal, own, 1)),
        unless(_PRLIMIT[column], first, op(jump_if_equal, 0, 1)),
        unless(_SETAFFINITY[column], first, op(jump_if_equal, 0, 1)),
        unless(
            _FCNTL[column],
            second,
            op(jump_if_equal, _SET_OWNER, 1) + op(jump_if_equal, _SET_OWNER_EX, 0, 1),
        ),
    ]
    for numbers in _REFUSED.values():
        if (call := numbers[column]) is not None:
            parts.append(op(jump_if_equal, call, 0, 1) + op(give, refuse))
    return b"".join(parts) + op(give, allow)
