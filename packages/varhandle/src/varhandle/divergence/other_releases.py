"""The same model, converted by another release of TensorFlow; a file, run by another of LiteRT.

uv makes an environment for each release, and keeps in its cache what it has installed once. What
the model and the file do there is bound by the kernel's lock, as it is here.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from varhandle.divergence import release_program
from varhandle.errors import VarhandleError
from varhandle.facts.recipes import ConverterSettings
from varhandle.facts.releases import LITERT_RELEASES, measured_releases
from varhandle.formats import SAVED_MODEL, format_of
from varhandle.formats.base import ModelFormat, ModelSource
from varhandle.formats.registry import GRAPH_DEF
from varhandle.formats.trust import check_trust
from varhandle.graph import Graph
from varhandle.installation import installed_version
from varhandle.matrix.environments import (
    NotInstalledError,
    Release,
    choose_pythons,
    install,
    litert_packages,
    pythons_here,
    run_with_descendants,
    tensorflow_packages,
    uv_environment,
    uv_run,
)
from varhandle.sandbox import Record, lock, run_isolated
from varhandle.savedmodel.resave_tracked import export_keras

_CONVERTER, _RUNTIME = "tensorflow", "ai-edge-litert"
_NEWEST = 4
"""Releases of TensorFlow that are tried where none is named: up to 600 MB each to download."""


class UnknownReleaseError(VarhandleError, ValueError):
    """What is no release that a converter or a runtime can have."""


class OtherRelease(NamedTuple):
    """A release of the converter's package, or of the runtime's."""

    package: str
    version: str

    @property
    def converts(self) -> bool:
        """Whether it is the converter's."""
        return self.package == _CONVERTER

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def parse_other_releases(texts: Sequence[str]) -> tuple[OtherRelease, ...]:
    """Read ``tensorflow==2.19.1`` and ``ai-edge-litert==1.4.0``; without any, those measured.

    The runtimes come first: they are small. Raises ``UnknownReleaseError``.
    """
    found = []
    for text in texts:
        match = re.fullmatch(rf"({_CONVERTER}|{_RUNTIME})==(\d{{1,4}}(?:\.\d{{1,4}}){{2}})", text)
        if match is None:
            said = f"{_CONVERTER}==2.19.1 or {_RUNTIME}=={LITERT_RELEASES[0]}"
            raise UnknownReleaseError(f"{text!r} is no release: name one such as {said}")
        found.append(OtherRelease(match[1], match[2]))
    if not texts:
        measured = [str(entry["version"]) for entry in measured_releases()]
        found = [OtherRelease(_RUNTIME, version) for version in LITERT_RELEASES]
        found += [OtherRelease(_CONVERTER, version) for version in measured[: -_NEWEST - 1 : -1]]
    here = _installed()
    return tuple(sorted((each for each in found if each != here.get(each.package)), key=_is_large))


def _is_large(release: OtherRelease) -> bool:
    return release.converts


def _installed() -> dict[str, OtherRelease]:
    found = {package: installed_version(package) for package in (_CONVERTER, _RUNTIME)}
    return {name: OtherRelease(name, version) for name, version in found.items() if version}


def installed_release(package: str) -> str:
    """Name the release that is installed here."""
    return str(_installed().get(package, package))


class OtherReleases:
    """A model and its calls, for other releases to convert, and its files for them to run."""

    def __init__(
        self, graph: Graph, source: ModelSource, keys: Sequence[str], timeout: float
    ) -> None:
        check_trust(graph, source.trust)
        self._graph, self._source, self._keys = graph, source, keys
        self._timeout = timeout
        self._commands: dict[OtherRelease, list[str]] = {}

    def command(self, release: OtherRelease) -> list[str]:
        """Return the command that runs a Python with a release, once uv has installed it.

        Raises ``NotInstalledError``: there is no uv, no Python that fits, or no such release.
        """
        if release not in self._commands:
            wanted = Release(release.version)
            here = pythons_here()
            pythons = choose_pythons(wanted, here) if release.converts else here
            needed = tensorflow_packages if release.converts else litert_packages
            refused = NotInstalledError("there is no CPython here", "install one, as uv does")
            for python in pythons.values():
                command = uv_run(needed(release.version), python)
                try:
                    install(command, threading.Event())
                except NotInstalledError as error:
                    refused = error
                    continue
                self._commands[release] = command
                return command
            raise refused
        return self._commands[release]

    def convert(
        self, release: OtherRelease, settings: ConverterSettings, samples: Sequence[Any]
    ) -> Record:
        """Convert the model; the record's value is the file."""
        with self._asked(release, [dict(_by_place(one)) for one in samples]) as (folder, run):
            model_format, source = self._openable(folder)
            signature = model_format.call_signature(self._graph, None)
            code = "\n".join(model_format.converter_code(signature, self._keys))
            told = {key: value for key, value in asdict(settings).items() if key in _PLAIN}
            return run({"code": code, "source": source, "settings": told}, [source], _file_in)

    def answers(
        self,
        release: OtherRelease,
        content: bytes,
        signature: str | None,
        calls: Sequence[Mapping[str, Any]],
    ) -> Record:
        """Call a file; the record's value is that of ``parity.file_answers``."""
        with self._asked(release, calls) as (folder, run):
            file = Path(folder, "given.tflite")
            file.write_bytes(content)
            asked = {"file": str(file), "signature": signature}
            return run(asked, [str(file)], lambda made: _answers_in(made, len(calls)))

    def _openable(self, folder: str) -> tuple[ModelFormat, str]:
        """Return the model as a release of any age may open it, and the format that it is then.

        A Keras file is of its own release: it is exported here. A text or a MetaGraph becomes a
        GraphDef.
        """
        model_format, source = format_of(self._graph), self._source
        if model_format.needs_checkpoint:
            path = str(Path(folder, "graph.pb"))
            record = run_isolated(
                _write_graph, model_format, source.path, path, reads=source.reads, writes=[folder]
            )
            return GRAPH_DEF, path if record.ok else source.path
        if model_format.can_export:
            path = str(Path(folder, "exported"))
            export = source.path, path, source.trust, source.imports
            run_isolated(export_keras, *export, reads=source.reads, writes=[folder])
            return SAVED_MODEL, path
        return SAVED_MODEL, str(Path(source.path).absolute())  # the release has its own folder

    @contextmanager
    def _asked(
        self, release: OtherRelease, calls: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[str, Callable[..., Record]]]:
        """Yield a folder, and what runs a request in it."""
        command = self.command(release)
        with tempfile.TemporaryDirectory(prefix="release-") as folder:
            arrays = {f"{n}.{name}": v for n, call in enumerate(calls) for name, v in call.items()}
            np.savez(Path(folder, release_program.CALLS), **arrays)

            def run(
                request: dict[str, Any], reads: Sequence[str], value: Callable[[Path], Any]
            ) -> Record:
                request |= {
                    "calls": [list(call) for call in calls],
                    "lock": lock.__file__ if lock.is_lock_on() else None,
                    "reads": list(reads),
                }
                text = json.dumps(request)
                Path(folder, release_program.REQUEST).write_text(text, encoding="utf-8")
                return self._run(command, Path(folder), value)

            yield folder, run

    def _run(self, command: Sequence[str], folder: Path, value: Callable[[Path], Any]) -> Record:
        environment = {**uv_environment(), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONNOUSERSITE": "1"}
        program = shutil.copy(release_program.__file__, folder)
        whole = [*command, str(program), str(folder)]
        ended = run_with_descendants(whole, environment, self._timeout, threading.Event())
        failure = folder / release_program.FAILURE
        if ended.code is None:
            return Record("timed out", message="it did not end in time", log=ended.stderr)
        if failure.exists():
            kind, message = json.loads(failure.read_text(encoding="utf-8"))
            return Record("raised", exception_type=kind, message=message, log=ended.stderr)
        if ended.code:
            return Record("crashed", message=f"ended: {ended.last_words}", log=ended.stderr)
        return Record("ok", value=value(folder), log=ended.stderr)


_PLAIN = (
    *("optimizations", "supported_ops", "supported_types"),
    *("inference_input_type", "inference_output_type"),
)


def _by_place(sample: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Name the inputs of a call by their places."""
    yield from ((str(place), np.asarray(value)) for place, value in enumerate(sample))


def _write_graph(model_format: Any, source: str, path: str) -> None:
    Path(path).write_bytes(model_format.graph_def(source).SerializeToString())


def _file_in(folder: Path) -> bytes:
    return (folder / release_program.FILE).read_bytes()


def _answers_in(folder: Path, count: int) -> list[dict[str, tuple[Any, float]]]:
    with np.load(folder / release_program.ANSWERS) as held:
        arrays = {name: held[name] for name in held}
    found: list[dict[str, tuple[Any, float]]] = [{} for _ in range(count)]
    for key, value in arrays.items():
        number, _, name = key.partition(".")
        if number != "step":
            found[int(number)][name] = value, float(arrays[f"step.{name}"])
    return found
