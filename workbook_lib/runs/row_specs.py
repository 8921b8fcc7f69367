"""Which rows a sweep has: models, what they are called, and the settings of each."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from varhandle.display import printable
from varhandle.errors import VarhandleError
from varhandle.formats import looks_like_model

DEFAULT_TARGET = "litert"
LIST_COLUMNS = ("model", "signature", "inputs", "target", "quantization")

_READ_WHOLE = 64 * 2**20
_HEAD = 2**20


class SweepInputError(VarhandleError, ValueError):
    """What was asked for is no sweep: a model, a list, a folder, a baseline, a scheduler.

    The message is one line that names the thing and its fault.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.split()), None))


@dataclass(frozen=True)
class RowSpec:
    """One row as a user asks for it.

    Attributes:
        model: Path of the model.
        target: Where it is to run.
        quantization: How it is to be quantized; ``None`` for not at all.
        signature: The signature to call; ``None`` for the notebook's choice.
        inputs: An ``.npz`` file of example calls; ``None`` for made-up ones.
    """

    model: Path
    target: str = DEFAULT_TARGET
    quantization: str | None = None
    signature: str | None = None
    inputs: Path | None = None


def row_specs(
    models: Iterable[Path],
    *,
    targets: Sequence[str] = (DEFAULT_TARGET,),
    quantizations: Sequence[str | None] = (None,),
    signature: str | None = None,
    inputs: Path | None = None,
) -> tuple[RowSpec, ...]:
    """Return a row for every model, target and quantization, in that order.

    Args:
        models: Paths of models. A folder that is no SavedModel stands for the models in it,
            sorted by name.
        targets: Where each is to run.
        quantizations: How each is to be quantized; ``none`` is not at all, as ``None`` is.
        signature: The signature to call in each.
        inputs: Example calls for each.

    Returns:
        The rows, each once.

    Raises:
        SweepInputError: There is no such model, target or quantization, or a folder holds none.
    """
    from varhandle.facts.recipes import requested_recipe
    from varhandle.facts.targets import target as known_target

    found = [model for path in models for model in _models(path)]
    try:
        recipes = [requested_recipe(quantization) for quantization in quantizations]
        for name in targets:
            known_target(name)
    except ValueError as error:
        raise SweepInputError(str(error)) from error
    rows = product(found, targets, recipes)
    return tuple(
        dict.fromkeys(
            RowSpec(model, target, recipe, signature, inputs) for model, target, recipe in rows
        )
    )


def _models(path: Path) -> Iterator[Path]:
    if not os.path.lexists(path):
        raise SweepInputError(f"{path}: there is no such file or folder")
    if not path.is_dir() or looks_like_model(path):
        yield path
        return
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise SweepInputError(f"{path}: cannot be read: {error.strerror}") from error
    models = [child for child in inside if looks_like_model(child)]
    if not models:
        raise SweepInputError(f"{path}: neither a SavedModel nor a folder with models in it")
    yield from models


def listed_rows(
    path: Path,
    *,
    targets: Sequence[str] = (DEFAULT_TARGET,),
    quantizations: Sequence[str | None] = (None,),
    signature: str | None = None,
    inputs: Path | None = None,
) -> tuple[RowSpec, ...]:
    """Read rows from a file.

    Args:
        path: A CSV file with a line of titles, or JSON lines (``.jsonl``, ``.json``), with the
            columns ``LIST_COLUMNS``, of which only ``model`` must be there. Paths in it are seen
            from the file's own folder.
        targets: For lines that name no target.
        quantizations: For lines that name no quantization; ``none`` names one.
        signature: For lines that name none.
        inputs: For lines that name none.

    Returns:
        The rows, each once.

    Raises:
        SweepInputError: The file cannot be read, or a line of it is no row.
    """
    rows: list[RowSpec] = []
    for number, line in _lines(path):
        unknown = [str(name) for name in line if name not in LIST_COLUMNS]
        if unknown:
            raise SweepInputError(f"{path}, line {number}: no such column: {', '.join(unknown)}")
        values = {name: value for name, value in line.items() if value not in (None, "")}
        wrong = [name for name, value in values.items() if not isinstance(value, str)]
        if "model" not in values or wrong:
            raise SweepInputError(
                f"{path}, line {number}: {', '.join(wrong) or 'model'} must be text"
            )
        given = values.get("quantization")
        own = path.parent / values["inputs"] if "inputs" in values else inputs
        rows += row_specs(
            [path.parent / values["model"]],
            targets=[values["target"]] if "target" in values else targets,
            quantizations=[given] if given else quantizations,
            signature=values.get("signature", signature),
            inputs=own,
        )
    if not rows:
        raise SweepInputError(f"{path}: there is no row in it")
    return tuple(dict.fromkeys(rows))


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        fault = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise SweepInputError(f"{path}: cannot be read: {fault}") from error
    if path.suffix.lower() not in {".json", ".jsonl"}:
        try:
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            yield from ((reader.line_num, line) for line in reader)
        except csv.Error as error:
            raise SweepInputError(f"{path}: no CSV file: {error}") from error
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SweepInputError(f"{path}, line {number}: no JSON") from error
        if not isinstance(content, dict):
            raise SweepInputError(f"{path}, line {number}: no JSON object")
        yield number, content


def model_names(models: Iterable[Path]) -> dict[Path, str]:
    """Say what models are called: as short as tells them apart.

    The name is what a baseline is compared by, so it must not depend on the folder that a checkout
    happens to be in.

    Args:
        models: Their paths, each any number of times.

    Returns:
        Path to name: the last part of the path, and as many parts before it as two models that
        end alike need.
    """
    parts = {model: Path(os.path.abspath(model)).parts for model in models}  # noqa: PTH100 - a link keeps its own name
    names = {}
    for model, own in parts.items():
        rivals = [other for other in parts.values() if other != own]
        length = 1
        while length < len(own) and any(other[-length:] == own[-length:] for other in rivals):
            length += 1
        names[model] = "/".join(own[-length:])
    return names


def row_id(spec: RowSpec, name: str) -> str:
    """Return the name of a row's folder: readable, and different for different rows.

    Args:
        spec: The row.
        name: What its model is called.

    Returns:
        Letters, digits and ``.-_`` alone.
    """
    model = os.path.realpath(spec.model)
    inputs = os.path.realpath(spec.inputs) if spec.inputs else None
    exact = json.dumps([model, spec.signature, inputs, spec.target, spec.quantization])
    readable = "-".join([name[-60:], spec.target[:30], (spec.quantization or "none")[:30]])
    slug = re.sub(r"[^A-Za-z0-9._-]+", "_", readable).lstrip(".-")
    return f"{slug}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"


def fingerprint(path: Path) -> str:
    """Return a digest of a model's files.

    A file of up to 64 MiB counts with all its bytes: that takes in every ``saved_model.pb``. Of a
    larger one, its size, its time of change and its first MiB count.

    Args:
        path: A file or a folder.

    Returns:
        The digest, in hexadecimal.

    Raises:
        SweepInputError: A file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for file in _files(path):
            size = file.stat().st_size
            relative = os.path.relpath(file, path)
            digest.update(f"{relative!r} {size}\n".encode())
            with file.open("rb") as content:
                if size <= _READ_WHOLE:
                    digest.update(content.read())
                else:
                    digest.update(f"{file.stat().st_mtime_ns}\n".encode())
                    digest.update(content.read(_HEAD))
    except OSError as error:
        raise SweepInputError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """Yield the regular files of a model, in a fixed order."""
    if not path.is_dir():
        if path.is_file():
            yield path
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (file for file in sorted(Path(folder, name) for name in files) if file.is_file())


def absolute(spec: RowSpec) -> RowSpec:
    """Return a row with absolute paths, links left as they are."""
    return replace(
        spec,
        model=Path(os.path.abspath(spec.model)),  # noqa: PTH100 - resolve() would follow links
        inputs=Path(os.path.abspath(spec.inputs)) if spec.inputs else None,  # noqa: PTH100
    )
