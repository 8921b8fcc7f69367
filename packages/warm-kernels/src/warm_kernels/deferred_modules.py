"""Modules that are imported, and that nobody sees before they are asked for.

A forked kernel has TensorFlow from its parent. Code may look whether it is there (notebook 06
proves that it is not), and a new kernel would say no until somebody imports it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _HeldBack(MetaPathFinder, Loader):
    """Finds held back packages when they are imported, and puts them back as they were."""

    def __init__(self, packages: Mapping[str, Iterable[str]]) -> None:
        """Take them and their submodules out of ``sys.modules``."""
        self._along = packages
        self._own: dict[str, ModuleSpec | None] = {}
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
        """Find a held back package; its submodules are back when it is, and need no finder."""
        family = self._packages.get(fullname)
        own = family and family[fullname].__spec__
        if not own:
            return None
        spec = ModuleSpec(fullname, self, origin=own.origin, is_package=True)
        spec.submodule_search_locations = own.submodule_search_locations
        spec.has_location = own.has_location
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Put the whole package back."""
        family = self._packages.pop(spec.name)
        self._own[spec.name] = family[spec.name].__spec__
        sys.modules.update(family)
        for package in self._along[spec.name]:
            importlib.import_module(package)
        return family[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it is: it was executed once. The import has put its own spec there."""
        module.__spec__ = self._own.pop(module.__name__)


def hold_back(packages: Mapping[str, Iterable[str]]) -> None:
    """Have packages look as if they had not been imported.

    Args:
        packages: Top-level names, each with those that its import brings along; one that is
            not imported is left alone.
    """
    sys.meta_path.insert(0, _HeldBack(packages))
