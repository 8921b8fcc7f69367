"""Which rows a sweep has: models, what they are called, and the settings of each."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from varhandle.display import one_line
from varhandle.errors import CHECK_PATH, VarhandleError, system_fault
from varhandle.facts.targets import DEFAULT_TARGET
from varhandle.formats import looks_like_model
from varhandle.formats.regular_file import read_text

LIST_COLUMNS = ("model", "signature", "inputs", "target", "quantization")

_READ_WHOLE = 64 * 2**20
_HEAD = 2**20


_WRITE_ROWS = "write a line of titles and a row each, or an object of JSON a line"


class SweepInputError(VarhandleError, ValueError):
    """What was asked for is no sweep; the message is one line that names the thing at fault."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass(frozen=True)
class RowSpec:
    """One row as a user asks for it; ``None`` is not quantized, the usual signature, made up.

    Its paths are absolute, with links as they are.
    """

    model: Path
    target: str = DEFAULT_TARGET
    quantization: str | None = None
    signature: str | None = None
    inputs: Path | None = None

    def row_id(self, name: str) -> str:
        """Return the name of the row's folder: readable, of plain characters, and its alone."""
        model = os.path.realpath(self.model)
        inputs = os.path.realpath(self.inputs) if self.inputs else None
        exact = json.dumps([model, self.signature, inputs, self.target, self.quantization])
        readable = "-".join([name[-60:], self.target[:30], (self.quantization or "none")[:30]])
        slug = re.sub(r"[^A-Za-z0-9._-]+", "_", readable).lstrip(".-")
        return f"{slug}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"


def rows_of_models(
    models: Iterable[Path],
    *,
    targets: Sequence[str] = (DEFAULT_TARGET,),
    quantizations: Sequence[str | None] = (None,),
    signature: str | None = None,
    inputs: Path | None = None,
) -> tuple[RowSpec, ...]:
    """Return a row for every model, target and quantization, in that order, each once.

    A folder that is no SavedModel stands for the models in it, sorted by name. Raises
    ``SweepInputError`` where there is no such model, target or recipe.
    """
    from varhandle.evaluate.given_inputs import inputs_path
    from varhandle.facts.recipes import requested_recipe
    from varhandle.facts.targets import find_target

    found = [_absolute(model) for path in models for model in _models(path)]
    if inputs and inputs_path(inputs):
        inputs = _absolute(inputs)
    try:
        recipes = [requested_recipe(quantization) for quantization in quantizations]
        for name in targets:
            find_target(name)
    except VarhandleError as error:
        raise SweepInputError(str(error)) from error
    rows = product(found, targets, recipes)
    return tuple(dict.fromkeys(RowSpec(*row, signature, inputs) for row in rows))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - a link is left as it is


def _models(path: Path) -> list[Path]:
    if not os.path.lexists(path):
        raise SweepInputError(f"{path}: there is no such file or folder: {CHECK_PATH}")
    if not path.is_dir() or looks_like_model(path):
        return [path]
    try:
        models = [child for child in sorted(path.iterdir()) if looks_like_model(child)]
    except OSError as error:
        raise _unread(path, error) from error
    if not models:
        fault = "neither a SavedModel nor a folder with models in it"
        raise SweepInputError(f"{path}: {fault}: name the models")
    return models


def _unread(path: Path, error: OSError) -> SweepInputError:
    return SweepInputError(f"{path}: cannot be read: {system_fault(error, CHECK_PATH)}")


def rows_of_list(path: Path, **settings: Any) -> tuple[RowSpec, ...]:
    """Read rows from a CSV file with a line of titles, or from JSON lines (.jsonl, .json).

    Of the columns ``LIST_COLUMNS`` only ``model`` must be there; paths are seen from the file's own
    folder. The settings, as ``rows_of_models`` takes them, are for lines that name none. Raises
    ``SweepInputError``, with the line's number, for what is no row.
    """
    rows: list[RowSpec] = []
    for number, line in _lines(path):
        unknown = [str(name) for name in line if name not in LIST_COLUMNS]
        if unknown:
            fault = f"no such column: {', '.join(unknown)}, only {', '.join(LIST_COLUMNS)}"
            raise SweepInputError(f"{path}, line {number}: {fault}")
        values = {name: value for name, value in line.items() if value not in (None, "")}
        wrong = [name for name, value in values.items() if not isinstance(value, str)]
        if "model" not in values or wrong:
            fault = f"{', '.join(wrong) or 'model'} must be text"
            raise SweepInputError(f"{path}, line {number}: {fault}")
        own = dict(settings)
        if "target" in values:
            own["targets"] = [values["target"]]
        if "quantization" in values:
            own["quantizations"] = [values["quantization"]]
        if "signature" in values:
            own["signature"] = values["signature"]
        if "inputs" in values:
            own["inputs"] = _inputs_beside(path, values["inputs"])
        rows += rows_of_models([path.parent / values["model"]], **own)
    if not rows:
        fault = "there is no row in it: write a line of titles, then a model each"
        raise SweepInputError(f"{path}: {fault}")
    return tuple(rows)


def _inputs_beside(path: Path, inputs: str) -> Path:
    from varhandle.evaluate.given_inputs import inputs_path

    return path.parent / inputs if inputs_path(inputs) else Path(inputs)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = read_text(path).decode("utf-8-sig")
    except UnicodeError as error:
        fault = "cannot be read: it is no UTF-8 text: save it as such"
        raise SweepInputError(f"{path}: {fault}") from error
    except OSError as error:
        raise _unread(path, error) from error
    if path.suffix.lower() not in {".json", ".jsonl"}:
        try:
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            yield from ((reader.line_num, line) for line in reader)
        except csv.Error as error:
            raise SweepInputError(f"{path}: no CSV file ({error}): {_WRITE_ROWS}") from error
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SweepInputError(f"{path}, line {number}: no JSON: {_WRITE_ROWS}") from error
        if not isinstance(content, dict):
            raise SweepInputError(f"{path}, line {number}: no JSON object: {_WRITE_ROWS}")
        yield number, content


def model_names(models: Iterable[Path]) -> dict[Path, str]:
    """Return what each model is called: as many last parts of its path as tell them apart.

    A baseline is compared by this name, so it must not depend on the folder that all are in.
    """
    parts = {model: model.absolute().parts for model in models}
    names = {}
    for model, own in parts.items():
        rivals = [other for other in parts.values() if other != own]
        length = 1
        while length < len(own) and any(other[-length:] == own[-length:] for other in rivals):
            length += 1
        names[model] = "/".join(own[-length:])
    return names


def fingerprint(path: Path) -> str:
    """Return a digest of a model's files, which tells whether its rows still hold.

    A file of up to 64 MiB counts with all its bytes: that takes in every ``saved_model.pb``. Of a
    larger one, its size, its time of change and its first MiB count.
    """
    digest = hashlib.sha256()
    try:
        for file in _regular_files(path):
            status = file.stat()
            relative = os.path.relpath(file, path)
            digest.update(f"{relative!r} {status.st_size}\n".encode())
            whole = status.st_size <= _READ_WHOLE
            if not whole:
                digest.update(f"{status.st_mtime_ns}\n".encode())
            with file.open("rb") as content:
                digest.update(content.read(-1 if whole else _HEAD))
    except OSError as error:
        raise _unread(path, error) from error
    return digest.hexdigest()


def _regular_files(path: Path) -> Iterator[Path]:
    """Yield them in a fixed order; a link back up is not followed, and no pipe is waited for."""
    if not path.exists():
        raise SweepInputError(f"{path}: there is no such file or folder: {CHECK_PATH}")
    if path.is_file():
        yield path
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (file for file in sorted(Path(folder, name) for name in files) if file.is_file())
