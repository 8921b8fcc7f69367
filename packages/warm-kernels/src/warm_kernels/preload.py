"""Modules that the fork server has imported, and that a kernel hides until a cell imports them.

Code may look whether a module is there, and a new kernel would say no until somebody imports it.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

KERNEL = "ipykernel.kernelapp"
HOOKS = "warm_kernels.before_kernel"
"""Entry points of this group are called in a fresh kernel, before its first thread."""

_deferred: dict[str, list[str]] = {}
"""Packages to hide, each with those that its import brings along."""


def import_all(modules: Sequence[str], preload: Sequence[Sequence[str]]) -> None:
    """Import modules, and groups of modules that a kernel is to hide.

    What is written to standard error meanwhile is dropped; a module that cannot be imported is
    named there afterwards.
    """
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        failed = [*_import(KERNEL)]
        own = {name.partition(".")[0] for name in sys.modules}
        failed += [line for name in modules for line in _import(name)]
        failed += [line for group in preload for name in group for line in _import(name)]
        hide(preload, but=own)
        hooks()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    for line in failed:
        print(f"warm kernels: {line}", file=sys.stderr, flush=True)
    # What is here now stays: a collection in a fork need not touch it, and so copies no page.
    gc.collect()
    gc.freeze()


def hide(preload: Sequence[Sequence[str]], but: Iterable[str] = ()) -> None:
    """Have kernels hide the packages of these modules, but for some."""
    for group in preload:
        packages = {name.partition(".")[0] for name in group} - sys.stdlib_module_names - {*but}
        _deferred.update({name: sorted(packages - {name}) for name in packages})


def _import(name: str) -> list[str]:
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever a module does when it is imported
        return [f"{name} is not preloaded: {traceback.format_exception_only(error)[-1].strip()}"]
    return []


@functools.cache
def hooks() -> tuple[Callable[[], Any], ...]:
    """Load what others have registered for fresh kernels."""
    return tuple(entry.load() for entry in entry_points(group=HOOKS))


class _Deferred(MetaPathFinder, Loader):
    """Finds deferred packages when they are imported, and puts them back as they were."""

    def __init__(self, packages: Mapping[str, Iterable[str]]) -> None:
        """Take them and their submodules out of ``sys.modules``."""
        self._along = packages
        self._packages: dict[str, dict[str, ModuleType]] = {}
        for package in packages:
            family = {
                name: module
                for name, module in sys.modules.items()
                if name == package or name.startswith(package + ".")
            }
            if package in family:
                self._packages[package] = family
                for name in family:
                    del sys.modules[name]

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Find a deferred package; its submodules are back when it is, and need no finder."""
        family = self._packages.get(fullname)
        own = family and family[fullname].__spec__
        if not own:
            return None
        spec = ModuleSpec(fullname, self, origin=own.origin, is_package=True)
        spec.submodule_search_locations = own.submodule_search_locations
        spec.has_location = own.has_location
        spec.loader_state = own
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Put the whole package back."""
        family = self._packages.pop(spec.name)
        sys.modules.update(family)
        for package in self._along[spec.name]:
            importlib.import_module(package)
        return family[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it is: it was executed once. The import has put its own spec there."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def defer() -> None:
    """Have the packages of ``import_all`` look as if they had not been imported."""
    sys.meta_path.insert(0, _Deferred(_deferred))
