"""The two settings: ``warm_kernels.json`` in a folder of Jupyter's configuration.

``jupyter --paths`` lists the folders; what an earlier one says counts before a later one.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = "warm_kernels.json"
# What counts when any Python starts, or when its numerical libraries do.
_ALWAYS = ("PYTHON", "LD_", "MALLOC_", "OMP_", "OPENBLAS_", "MKL_", "KMP_")


@dataclass(frozen=True)
class Settings:
    """What kernels are forked with.

    Attributes:
        preload: Modules for the fork server to import. A fresh kernel shows none of them before a
            cell imports it; those of one group then come together, as each imports the others.
        start_variables: Regular expressions. An environment variable that one of them matches, as
            ``NAME=value`` from its beginning, counts at the start of Python or the import of a
            module: a kernel for which it is another than for the fork server is not forked.
    """

    preload: tuple[tuple[str, ...], ...] = ()
    start_variables: tuple[str, ...] = ()

    @property
    def modules(self) -> frozenset[str]:
        """The names of all modules to import."""
        return frozenset(name for group in self.preload for name in group)

    def start_variables_of(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that count at the start."""
        pattern = re.compile("|".join((*_ALWAYS, *self.start_variables)))
        return {
            name: value for name, value in environment.items() if pattern.match(f"{name}={value}")
        }


def read_settings() -> Settings:
    """Read the settings; a file that cannot be read is named in the log, and passed over."""
    from jupyter_core.paths import jupyter_config_path

    return _read(tuple(jupyter_config_path()))


@functools.lru_cache(maxsize=8)
def _read(folders: tuple[str, ...]) -> Settings:
    known: dict[str, list[str | list[str]]] = {}
    for path in (Path(folder, FILE) for folder in reversed(folders)):
        try:
            known.update(_checked(json.loads(path.read_text("utf-8"))))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, re.error) as error:
            logging.getLogger(__name__).warning("%s is passed over: %s", path, error)
    preload = (
        (entry,) if isinstance(entry, str) else tuple(entry) for entry in known.get("preload", ())
    )
    return Settings(tuple(preload), tuple(map(str, known.get("start_variables", ()))))


def _checked(content: object) -> dict[str, list[str | list[str]]]:
    """Return a file's content if it can be settings; raises ``ValueError`` or ``re.error``."""
    if not isinstance(content, dict) or content.keys() - Settings.__dataclass_fields__.keys():
        raise ValueError(f"it may hold {' and '.join(Settings.__dataclass_fields__)} alone")
    if not all(isinstance(value, list) for value in content.values()):
        raise ValueError("a list is expected")
    groups = [entry if isinstance(entry, list) else [entry] for entry in content.get("preload", [])]
    patterns = content.get("start_variables", [])
    for entry in (*patterns, *(name for group in groups for name in group)):
        if not isinstance(entry, str):
            raise ValueError(f"{entry!r} is no text")
        re.compile(entry)
    return content
