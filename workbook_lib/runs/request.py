"""What notebook 36 is asked: its parameters, read and checked before anything slow begins."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varhandle.display import printable
from varhandle.errors import VarhandleError
from varhandle.facts.targets import DEFAULT_TARGET, Target, find_target
from varhandle.formats import read_graph
from varhandle.graph import Graph, ModelFileError
from workbook_lib.locations import data_path

_BUNDLED = "half_reader"


class RequestError(VarhandleError, ValueError):
    """A parameter that cannot be used. In a notebook it is one line, without a traceback."""

    def __init__(self, message: object) -> None:
        super().__init__(printable(" ".join(str(message).split()), None))

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True, eq=False)
class ModelRequest:
    """What is asked of a model."""

    graph: Graph
    signature: str | None  # the one that was named; None for the one for inference
    calls: str | Mapping[str, Any] | None
    target: Target
    recipe: str | None  # None for no quantization
    imports: tuple[str, ...] = ()  # Python files and modules with the model's own classes


def read_request(
    model: str | os.PathLike[str],
    *,
    signature: str | None = "",
    inputs: str | os.PathLike[str] | None = "",
    target: str = DEFAULT_TARGET,
    quantization: str | None = "none",
    imports: str | Sequence[str] = "",
) -> ModelRequest:
    """Read the parameters of notebook 36; what is empty is left to the tool.

    ``model`` is a path, or ``"half_reader"`` for the bundled one, which comes with inputs. Raises
    ``RequestError`` where there is no such model, signature, file of inputs, target, recipe or file
    to import.
    """
    from varhandle.evaluate.given_inputs import inputs_path
    from varhandle.facts.recipes import requested_recipe
    from varhandle.families.base import inference_signature
    from varhandle.formats.custom_code import check_imports
    from workbook_lib.samples import half_reader_rows

    given = imports.split(",") if isinstance(imports, str) else imports
    named = tuple(name for each in given if (name := each.strip()))
    bundled = str(model) == _BUNDLED and not Path(model).exists()
    if bundled:  # seen from here, so that a page names no machine
        model = os.path.relpath(data_path(_BUNDLED))
    try:
        place = find_target(str(target))
        recipe = requested_recipe(quantization or None)
        graph = read_graph(model)
        inference_signature(graph, signature or None)
        check_imports(named)
    except (ValueError, KeyError) as error:  # each with a message for the user
        said = str(error) if isinstance(error, ModelFileError) else error.args[0]
        raise RequestError(said) from None
    calls: str | Mapping[str, Any] | None = half_reader_rows() if bundled else None
    if inputs:
        calls = os.fspath(inputs)
        path = inputs_path(inputs)
        if path is not None and not path.exists():
            raise RequestError(f"inputs: there is no file or folder {calls}")
    return ModelRequest(graph, signature or None, calls, place, recipe, named)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Tell in one line, without a traceback, that a model, inputs or a folder cannot be used."""
    from varhandle.evaluate.example_inputs import CallsError

    try:
        yield
    except (ModelFileError, CallsError) as error:
        raise RequestError(error) from None
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename else error
        raise RequestError(told) from None
