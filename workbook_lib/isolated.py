"""The ``%%isolated`` cell magic: the code stays in view, and its crash stays out of the kernel."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from varhandle.progress_bar import busy
from varhandle.sandbox.process import GIB, run_source


@magics_class
class IsolatedMagics(Magics):
    """Registers ``%%isolated``."""

    @magic_arguments()
    @argument("record", nargs="?", help="name that takes the Record")
    @argument("--use", nargs="*", default=[], help="names of this notebook that the cell reads")
    @argument("--keep", nargs="*", default=[], help="names of the cell that come back here")
    @argument("--timeout", type=float, default=300.0, help="seconds the cell may run")
    @argument("--memory", type=float, default=6.0, help="GiB the cell may hold")
    @cell_magic
    def isolated(self, line: str, cell: str) -> None:
        """Run the cell in a child process and show what came of it."""
        options = parse_argstring(self.isolated, line)
        if self.shell is None:
            raise UsageError("%%isolated needs a running IPython")
        names: dict[str, Any] = self.shell.user_ns
        missing = [name for name in options.use if name not in names]
        if missing:
            raise UsageError(f"%%isolated --use: not defined here: {', '.join(missing)}")
        with busy("running in a child process"):
            record = run_source(
                cell,
                inputs={name: names[name] for name in options.use},
                keep=options.keep,
                timeout=options.timeout,
                memory_limit=int(options.memory * GIB),
            )
        if record.output:
            sys.stdout.write(record.output)
        if record.ok:
            names.update(record.value)
        if options.record:
            names[options.record] = record
        if not record.ok or not record.output:
            display(record)


def load_ipython_extension(ipython: Any) -> None:
    """Called by ``%load_ext workbook_lib.isolated``."""
    ipython.register_magics(IsolatedMagics)
