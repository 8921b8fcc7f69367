"""The ``%%isolated`` cell magic: the code stays in view, and its crash stays out of the kernel."""

from __future__ import annotations

import builtins
import dis
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from varhandle.progress_bar import busy
from varhandle.sandbox.process import GIB, run_source

_READS = ("LOAD_NAME", "LOAD_GLOBAL")


@magics_class
class IsolatedMagics(Magics):
    """Registers ``%%isolated``."""

    @magic_arguments()
    @argument("record", nargs="?", help="name that takes the Record")
    @argument("--timeout", type=float, default=300.0, help="seconds the cell may run")
    @argument("--memory", type=float, default=6.0, help="GiB the cell may hold")
    @cell_magic
    def isolated(self, line: str, cell: str) -> None:
        """Run the cell in a child process and show what came of it.

        The cell finds what it reads of this notebook; what stands after ``->`` comes back here:
        ``%%isolated record -> file labels``.
        """
        asked, _, kept = line.partition("->")
        options = parse_argstring(self.isolated, asked)
        if self.shell is None:
            raise UsageError("%%isolated needs a running IPython")
        names: dict[str, Any] = self.shell.user_ns
        try:
            with busy("running in a child process"):
                record = run_source(
                    cell,
                    inputs=dict(_read_names(cell, names)),
                    keep=kept.split(),
                    timeout=options.timeout,
                    memory_limit=int(options.memory * GIB),
                )
        except ValueError as error:
            raise UsageError(f"%%isolated: not for another process: {error.__cause__}") from None
        if record.output:
            sys.stdout.write(record.output)
        if record.ok:
            names.update(record.value)
        if options.record:
            names[options.record] = record
        if not record.ok or not record.output:
            display(record)


def _read_names(cell: str, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a cell reads of the notebook: not what it defines, and no modules."""
    try:
        code = compile(cell, "<cell>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return  # the child says where
    # Python's own compiler knows best: from 3.12 on, symtable takes the name of a comprehension
    # for one of the cell's.
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_NAME"}
    read = {step.argval for step in _instructions(code) if step.opname in _READS}
    for name in sorted(read - own - set(dir(builtins))):
        if name in names and not isinstance(names[name], types.ModuleType):
            yield name, names[name]


def _instructions(code: types.CodeType) -> Iterator[dis.Instruction]:
    """Yield the instructions of a cell, and of the functions and classes in it."""
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _instructions(constant)


def load_ipython_extension(ipython: Any) -> None:
    """Called by ``%load_ext workbook_lib.isolated``."""
    ipython.register_magics(IsolatedMagics)
